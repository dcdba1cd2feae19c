// Seen by the preprocessing pass only; the declarations are in shim/hip/hip.h.
#pragma once
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define FLT_MAX 0x1.fffffep127f
#define FLT_MIN 0x1.0p-126f
#define FLT_EPSILON 0x1.0p-23f
#define CHAR_BIT 8
