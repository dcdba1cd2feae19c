# Builds the native addon and the kernels' own tests. Called by bin/build-native.js, which passes CXX, OUT, VERSION and
# the include folders of node-addon-api and node-api-headers; only the addon needs the last two.
CXX ?= g++
NM ?= nm
OUT ?= build/native
VERSION ?= 0.0.0
NODE_INCLUDES ?=

MACHINE := $(shell $(CXX) -dumpmachine)
ARCH := $(if $(findstring x86_64,$(MACHINE)),x64,$(if $(or $(findstring aarch64,$(MACHINE)),$(findstring arm64,$(MACHINE))),arm64,other))
DARWIN := $(findstring darwin,$(MACHINE))

# Kernels are bit-exact across instruction sets where they promise it: no contraction behind our back, no fast-math.
CXXFLAGS ?= -O3 -g1
ALL_CXXFLAGS = -std=c++17 -fPIC -fvisibility=hidden -ffp-contract=off -Wall -Wextra -MMD -MP \
  -ISources/KernelABI/include $(CXXFLAGS)

AVX2 := -mavx2 -mfma -mf16c -mbmi2
FLAGS_generic :=
FLAGS_avx2 := $(AVX2)
FLAGS_avxvnni := $(AVX2) -mavxvnni
FLAGS_avx512 := $(AVX2) -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512vbmi -mprefer-vector-width=512
# Named, because some compilers' own default has more, and `generic` shall not have the vectors written for NEON.
FLAGS_neon := -march=armv8-a -DTW_NEON
FLAGS_dotprod := -march=armv8.2-a+dotprod -DTW_NEON
FLAGS_i8mm := -march=armv8.2-a+dotprod+i8mm -DTW_NEON

ISAS_x64 := generic avx2 avxvnni avx512
ISAS_arm64 := generic neon dotprod i8mm
ISAS_other := generic
ISAS := $(ISAS_$(ARCH))

OBJ := $(OUT)/obj
ISA_SOURCES := $(wildcard Sources/CpuKernels/dense/*.cpp Sources/CpuKernels/quant/*.cpp)
BASE_SOURCES := $(wildcard Sources/CpuKernels/pool/*.cpp Sources/CpuKernels/isa/*.cpp Sources/CpuKernels/formats/*.cpp)
ADDON_SOURCES := $(wildcard Sources/NodeAddon/*.cpp)
# Binds a GPU's driver with dlopen; nothing of a GPU's SDK is needed here.
GPU_SOURCES := $(wildcard Sources/GpuDriver/*.cpp)

isa_objects = $(ISA_SOURCES:Sources/%.cpp=$(OBJ)/%.$(1).o)
ISA_OBJECTS := $(foreach isa,$(ISAS),$(call isa_objects,$(isa)))
BASE_OBJECTS := $(BASE_SOURCES:Sources/%.cpp=$(OBJ)/%.o)
ADDON_OBJECTS := $(ADDON_SOURCES:Sources/%.cpp=$(OBJ)/%.o)
GPU_OBJECTS := $(GPU_SOURCES:Sources/%.cpp=$(OBJ)/%.o)

# Everything is compiled again when the compiler or its flags change, and the addon when its version or headers do.
keep = $(shell mkdir -p $(OUT) && echo '$(2)' | cmp -s - $(OUT)/$(1) || echo '$(2)' > $(OUT)/$(1))
$(call keep,settings,$(shell $(CXX) --version | head -n 1) $(ALL_CXXFLAGS) $(foreach isa,$(ISAS),$(FLAGS_$(isa))))
$(call keep,addon-settings,$(VERSION) $(NODE_INCLUDES))

comma := ,
LINK := $(if $(DARWIN),-bundle -undefined dynamic_lookup,-shared -pthread -ldl -static-libstdc++ -static-libgcc -Wl,--exclude-libs$(comma)ALL)

.PHONY: addon check-isa native-test-programs clean
addon: $(OUT)/tilewright.node

$(OUT)/tilewright.node: $(ISA_OBJECTS) $(BASE_OBJECTS) $(GPU_OBJECTS) $(ADDON_OBJECTS)
	$(CXX) $(CXXFLAGS) -o $@.part $^ $(LINK)
	mv $@.part $@

define isa_rule
$(OBJ)/%.$(1).o: Sources/%.cpp Makefile $(OUT)/settings
	@mkdir -p $$(@D)
	$$(CXX) $$(ALL_CXXFLAGS) $$(FLAGS_$(1)) -DTW_ISA=$(1) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(OBJ)/CpuKernels/%.o: Sources/CpuKernels/%.cpp Makefile $(OUT)/settings
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -c $< -o $@

$(OBJ)/GpuDriver/%.o: Sources/GpuDriver/%.cpp Makefile $(OUT)/settings
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) -c $< -o $@

$(OBJ)/NodeAddon/%.o: Sources/NodeAddon/%.cpp Makefile $(OUT)/settings $(OUT)/addon-settings
	@mkdir -p $(@D)
	$(CXX) $(ALL_CXXFLAGS) $(NODE_INCLUDES) -DNAPI_VERSION=8 -DNAPI_CPP_EXCEPTIONS -DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS \
	  -DTILEWRIGHT_VERSION='"$(VERSION)"' -c $< -o $@

# A weak symbol in an object that was compiled for one instruction set could be linked in for all of them.
check-isa: $(ISA_OBJECTS)
	@! $(NM) -C $(filter-out %.generic.o,$(ISA_OBJECTS)) | grep -E ' [WVu] ' | grep -v ' w ' || { echo 'weak symbols in ISA objects'; exit 1; }
	@echo 'check-isa: no weak symbols'

# The kernels' own tests, one program per instruction set; scripts/native-tests.mjs runs those that this machine can.
TESTS := $(wildcard test/native/*_test.cpp)
TEST_PROGRAMS := $(foreach isa,$(ISAS),$(TESTS:test/native/%.cpp=$(OUT)/tests/%.$(isa)))
native-test-programs: $(TEST_PROGRAMS)

define test_rule
$(OUT)/tests/%.$(1): test/native/%.cpp $(call isa_objects,$(1)) $(BASE_OBJECTS)
	@mkdir -p $$(@D)
	$$(CXX) $$(ALL_CXXFLAGS) -DTW_ISA=$(1) -MF $$@.d -o $$@ $$(filter-out %/isa.o,$$(filter %.cpp %.o,$$^)) -pthread $$(LDFLAGS)
endef
$(foreach isa,$(ISAS),$(eval $(call test_rule,$(isa))))

clean:
	rm -rf $(OUT)

-include $(ISA_OBJECTS:.o=.d) $(BASE_OBJECTS:.o=.d) $(GPU_OBJECTS:.o=.d) $(ADDON_OBJECTS:.o=.d) $(TEST_PROGRAMS:=.d)
