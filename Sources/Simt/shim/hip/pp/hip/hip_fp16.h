// Seen by the preprocessing pass only; the declarations are in shim/hip/hip.h.
#pragma once
