// Nothing but the headers, as C: the checks of their sizes are made when this is compiled.
#include <tilewright/params.h>
