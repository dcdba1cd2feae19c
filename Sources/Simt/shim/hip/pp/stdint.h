// Seen by the preprocessing pass only; the types are in shim/hip/hip.h.
#pragma once
#define INT32_MAX 2147483647
#define INT32_MIN (-2147483647 - 1)
#define UINT32_MAX 4294967295u
