# SPDX-License-Identifier: Apache-2.0
#
# A unit test is tests/unit/<area>/<name>_test.c: one cmocka program each, linked with every library and with the tests'
# own helpers (tests/unit/**/x.c without _test).
# A packet test is tests/bpf/<name>_test.c: a cmocka program that runs the dataplane's programs by BPF_PROG_TEST_RUN or by
# sockets of its own in a cgroup (root), linked with the other files of tests/bpf.
# A fuzz target is tests/fuzz/<name>_fuzz.c (libFuzzer, clang), its corpus tests/fuzz/corpus/<name>/.
# A benchmark is tests/bench/<name>.c or .py; it prints one JSON object a line (tests/bench/README.md). Benchmarks of the API
# server, scripts, use the load client, tests/load/ ($(O)/load --help). What asks services through the network uses
# tests/load/net*.c ($(O)/netload --help); what sends frames like a NIC, tests/bench/frames/.

ALL_LIBS  := $(LIB_apiserver) $(LIB_controllers) $(LIB_scheduler) $(LIB_runtime) $(LIB_ctl) $(LIB_hollow) $(LIB_kubelet) $(LIB_agent) $(LIB_cni) $(LIB_datapath) $(LIB_store) $(LIB_http) $(LIB_kube) $(LIB_base)
ALL_EXTRA_LIBS := $(LIBS_datapath) $(LIBS_netlink)
UNIT_SRC  := $(filter %_test.c,$(call c_files,tests/unit))
UNIT_BINS := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRC))
TEST_LIB_SRC := $(filter-out %_test.c,$(call c_files,tests/unit))
BPFTEST_SRC := $(sort $(wildcard tests/bpf/*_test.c))
BPFTEST_BINS := $(patsubst tests/bpf/%.c,$(O)/bpftest/%,$(BPFTEST_SRC))
BPFTEST_LIB_SRC := $(filter-out %_test.c,$(sort $(wildcard tests/bpf/*.c)))
MODEL_SRC := $(sort $(wildcard tests/model/*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH_BINS := $(patsubst tests/bench/%.c,$(O)/bench/%,$(BENCH_SRC))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_BINS := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(FUZZ_SRC))

.PHONY: mutants mutants-quick unit bpftests benches fuzzers test check-root check-kernels verifier-baseline bench fuzz demo
.SECONDARY: $(call obj,$(UNIT_SRC) $(BPFTEST_SRC) $(BPFTEST_LIB_SRC) $(BENCH_SRC) $(FUZZ_SRC))

unit: $(UNIT_BINS) ## build the unit tests
bpftests: $(BPFTEST_BINS) $(O)/model $(BPF_OBJ)
benches: $(BENCH_BINS) $(O)/load $(O)/netload $(O)/frames
fuzzers: $(FUZZ_BINS) $(O)/model

test: deps ## deps, build, every check and test; the last line is "N passed, N failed, N skipped"
	@tests/run --build $(O)

check-root: all ## the tests that need root (namespaces, mounts, BPF)
	@tests/run --build $(O) --root

check-kernels: all bpftests ## the dataplane on Debian 12's own kernel (6.1), emulated: half an hour
	@tools/dev/deps.sh kernels
	@tests/kernels/run --build $(O)

verifier-baseline: all bpftests ## write down what the programs cost the verifiers of this kernel and of 6.1 (tests/bpf/verifier.txt)
	@tools/dev/deps.sh kernels
	@tests/kernels/run --build $(O) --baseline

bench: all benches ## measure; a table, build/bench/*.json and plots; BENCH="--quick dataplane" for some, and quickly
	@tests/bench/run --build $(O) $(BENCH)

mutants: $(O)/model $(BPF_OBJ) ## break the programs on purpose, and see that the model of the datapath notices
	@tests/model/mutants --build $(O) --compile '$(BPF_CC) $(BPF_CFLAGS)' $(MUTANT)

mutants-quick: $(O)/model $(BPF_OBJ)
	@tests/model/mutants --build $(O) --compile '$(BPF_CC) $(BPF_CFLAGS)' --quick

TIME ?= 60
fuzz: fuzzers ## run the fuzz targets, TIME seconds each; FUZZ=name runs one
	@tests/run --build $(O) --fuzz-seconds $(TIME) --only fuzz $(FUZZ)

demo: deps all ## a whole cluster on this machine at work, in about a minute; KEEP=1 leaves it up
	@FL_BUILD=$(abspath $(O)) tools/demo/demo.py $(if $(KEEP),--keep)

$(O)/libtest.a: $(call obj,$(TEST_LIB_SRC))

$(O)/unit/%: $(O)/obj/tests/unit/%.o $(O)/libtest.a $(ALL_LIBS) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) $(ALL_EXTRA_LIBS) -lmicrohttpd -lcmocka

# A node that is only played takes the place of the kubelet's other rooms.
$(O)/unit/kubelet/pods_test $(O)/unit/kubelet/pods_history_test: $(call obj,$(sort $(wildcard tests/played/*.c)))

$(O)/bpftest/%: $(O)/obj/tests/bpf/%.o $(call obj,$(BPFTEST_LIB_SRC)) $(LIB_datapath) $(LIB_base) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS) $(LIBS_datapath) -lcmocka

# The model of the datapath and what holds the programs against it (tests/model/README.md).
$(O)/model: $(call obj,$(MODEL_SRC) $(addprefix tests/bpf/,lab.c packet.c netns.c)) $(LIB_agent) $(LIB_datapath) $(LIB_kube) $(LIB_base) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS) $(ALL_EXTRA_LIBS)

$(O)/bench/%: $(O)/obj/tests/bench/%.o $(ALL_LIBS) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) $(ALL_EXTRA_LIBS)

NETLOAD_SRC := $(sort $(wildcard tests/load/net*.c))

$(O)/bench/sock_bench: $(call obj,tests/bpf/sock_lab.c)
$(O)/bench/fairctl: $(call obj,$(addprefix tests/bpf/,host.c kernel.c))
$(O)/bench/dataplane_programs: $(call obj,$(addprefix tests/bpf/,lab.c packet.c netns.c))
$(O)/bench/dataplane_programs: | $(O)/bench/restore.bpf.o

# Programs that the benchmarks bring along.
$(O)/bench/%.bpf.o: tests/bench/bpf/%.bpf.c $(O)/stamp.flags
	$(call say,BPFCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPF_CC) $(BPF_CFLAGS) -Itests -MMD -MP -c -o $@ $<

$(O)/load: $(call obj,$(filter-out $(NETLOAD_SRC),$(call c_files,tests/load))) $(LIB_base) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(O)/netload: $(call obj,$(NETLOAD_SRC)) $(LIB_base) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(O)/frames: $(call obj,tests/bench/frames/frames.c) $(LIB_base) $(O)/stamp.link | $(O)/bench/frames.bpf.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS) $(LIBS_datapath)

# Fuzz targets see instrumented libraries: their objects are built apart, always by clang.
FUZZ_CC     ?= clang
FUZZ_CFLAGS = $(COMMON_CFLAGS) -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
              -fno-sanitize-recover=all
FUZZ_OBJ    := $(patsubst %.c,$(O)/fuzz/obj/%.o,$(SRC_base) $(SRC_kube) $(SRC_http) $(SRC_store) $(SRC_apiserver) $(SRC_runtime) $(SRC_controllers) $(SRC_scheduler) $(SRC_ctl) $(SRC_datapath) $(SRC_agent) $(SRC_kubelet) $(SRC_cni) \
                 $(patsubst $(O)/gen/%,gen/%,$(GEN_kube) $(GEN_apiserver)))

$(O)/stamp.fuzz: export STAMP = $(shell $(FUZZ_CC) --version 2>&1 | head -n 1) $(FUZZ_CFLAGS)

$(O)/fuzz/obj/gen/%.o: $(O)/gen/%.c $(O)/stamp.fuzz
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) $(FILE_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/fuzz/obj/%.o: %.c $(O)/stamp.fuzz
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) $(FILE_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/fuzz/libfairlead.a: $(FUZZ_OBJ) $(if $(BPF_OBJ),$(O)/gen/bpf_objects.o)
.SECONDARY: $(patsubst %.c,$(O)/fuzz/obj/%.o,$(FUZZ_SRC))

$(O)/fuzz/%_fuzz: $(O)/fuzz/obj/tests/fuzz/%_fuzz.o $(O)/fuzz/libfairlead.a $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o %.a,$^) $(LIBS) $(ALL_EXTRA_LIBS)

# The program of tests/api/informer.py, which has it made.
$(O)/informer_follow: $(O)/obj/tests/api/informer_follow.o $(LIB_kube) $(LIB_base) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o %.a,$^) $(LDFLAGS) $(LIBS)

# The programs of tests/e2e/kubelet_runtime.py and kubelet_images.py, which have them made.
$(O)/kubelet_runtime $(O)/kubelet_images: $(O)/%: $(O)/obj/tests/e2e/%.o $(LIB_kubelet) $(LIB_kube) $(LIB_base) $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter %.o %.a,$^) $(LDFLAGS) $(LIBS)
