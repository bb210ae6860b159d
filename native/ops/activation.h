#pragma once
#include "core/activation.h"

namespace ved::ops {
using ved::Activation;
}
