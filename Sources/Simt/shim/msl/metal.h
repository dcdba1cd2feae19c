// The part of Metal's standard library that the test bed knows. Nothing is here that no kernel has needed: what is
// missing is reported as an undeclared name, which is better than a wrong guess.
#pragma once
#include "bind.h"
#include "logging.h"
#include "packed.h"
