#if defined(VED_AMX_EMULATOR)
#include "amx/emulated.inc.h"
// After the intrinsics it is written with.
#include "ops/cpu/isa/bf16_amx.cpp"
#endif
