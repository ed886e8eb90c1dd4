# Tests. A unit test is tests/unit/<area>/<name>_test.c: one cmocka program each, linked with every library.
# A fuzz target is tests/fuzz/<name>_fuzz.c (libFuzzer, clang), its corpus tests/fuzz/corpus/<name>/.

UNIT_SRC  := $(sort $(shell find tests/unit -name '*_test.c'))
UNIT_BINS := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRC))
TEST_LIB_SRC := $(sort $(filter-out %_test.c,$(shell find tests/unit -name '*.c')))
ALL_LIBS  := $(LIB_apiserver) $(LIB_ctl) $(LIB_store) $(LIB_kube) $(LIB_base)

.PHONY: unit
unit: $(UNIT_BINS)

$(O)/libtest.a: $(call obj,$(TEST_LIB_SRC))

# A unit test's own helpers (tests/unit/**/x.c without _test) are linked in too.
$(O)/unit/%: $(O)/obj/tests/unit/%.o $(O)/libtest.a $(ALL_LIBS)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(O)/libtest.a $(ALL_LIBS) $(LIBS) -lcmocka
$(O)/obj/tests/%.o: ALL_CFLAGS += -Itests -Wno-missing-prototypes
