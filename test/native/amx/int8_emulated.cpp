#if defined(VED_AMX_EMULATOR)
#include "amx/emulated.inc.h"
// After the intrinsics it is written with.
#include "ops/cpu/isa/int8_amx.cpp"
#endif
