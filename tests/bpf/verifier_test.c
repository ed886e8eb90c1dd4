/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs cost the verifier, and how large they become: compared with tests/bpf/verifier.txt, which has lines
 * of kernel, configuration, program, instructions that the verifier went through, bytes after it, bytes of machine
 * code. The verifier gives up at a million. `make verifier-baseline` writes the file anew (FL_BASELINE: nothing is
 * compared); for kernels that are not in it the figures are printed only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>

#include "bpf/kernel.h"
#include "datapath/load.h"

#define ROWS 256

enum figure {
        VERIFIED,
        TRANSLATED,
        MACHINE,
        FIGURES,
};

/* How much more is let pass. Machine code differs a little with the processor's errata. */
static const struct {
        const char *what;
        uint32_t percent, plus;
} figures[FIGURES] = {
        [VERIFIED] = {"instructions for the verifier", 5, 32},
        [TRANSLATED] = {"bytes of instructions", 5, 128},
        [MACHINE] = {"bytes of machine code", 10, 128},
};

struct row {
        char kernel[16], config[16], program[32];
        uint32_t value[FIGURES];
};

static struct row baseline[ROWS];
static size_t n_baseline;

static const struct config {
        const char *name;
        uint32_t flags;
} configs[] = {
        {"tunnel", KNOB_SKB | KNOB_TUNNEL | KNOB_MASQUERADE | KNOB_REDIRECT_PEER | KNOB_SOCK | KNOB_NODEPORT_LOOPBACK |
                           KNOB_BIND_PROTECT | KNOB_RETVAL},
        {"native", KNOB_SKB | KNOB_MASQUERADE | KNOB_REDIRECT_PEER},
};

static void read_baseline(void)
{
        const char *top = getenv("FL_TOP");
        char path[4096], line[256];
        FILE *f;

        snprintf(path, sizeof(path), "%s/tests/bpf/verifier.txt", top ? top : ".");
        f = fopen(path, "re");
        if (!f)
                fail_msg("%s: %m (from which folder is this run?)", path);
        while (n_baseline < ROWS && fgets(line, sizeof(line), f)) {
                struct row *r = &baseline[n_baseline];

                if (line[0] == '#' || line[0] == '\n')
                        continue;
                if (sscanf(line, "%15s %15s %31s %u %u %u", r->kernel, r->config, r->program, &r->value[VERIFIED],
                           &r->value[TRANSLATED], &r->value[MACHINE]) != 6)
                        fail_msg("%s: not a kernel, configuration, program and three numbers: %s", path, line);
                n_baseline++;
        }
        fclose(f);
}

/* "6.18" */
static void kernel_version(char *ret, size_t size)
{
        struct utsname name;
        unsigned major = 0, minor = 0;

        uname(&name);
        assert_int_equal(sscanf(name.release, "%u.%u", &major, &minor), 2);
        snprintf(ret, size, "%u.%u", major, minor);
}

static bool has_baseline(const char *kernel)
{
        for (size_t i = 0; i < n_baseline; i++)
                if (strcmp(baseline[i].kernel, kernel) == 0)
                        return true;
        return false;
}

static const struct row *find_baseline(const struct row *of)
{
        for (size_t i = 0; i < n_baseline; i++)
                if (strcmp(baseline[i].kernel, of->kernel) == 0 && strcmp(baseline[i].config, of->config) == 0 &&
                    strcmp(baseline[i].program, of->program) == 0)
                        return &baseline[i];
        return NULL;
}

/* How many figures are too large. */
static int compare(const struct row *row)
{
        const struct row *base = find_baseline(row);
        int worse = 0;

        if (!base) {
                print_message("# %s (%s) is not in tests/bpf/verifier.txt\n", row->program, row->config);
                return 1;
        }
        for (int i = 0; i < FIGURES; i++) {
                uint64_t most = (uint64_t)base->value[i] * (100 + figures[i].percent) / 100 + figures[i].plus;

                if (row->value[i] <= most)
                        continue;
                print_message("# %s (%s): %u %s, and %u in tests/bpf/verifier.txt: more than %u %% above\n",
                              row->program, row->config, row->value[i], figures[i].what, base->value[i],
                              figures[i].percent);
                worse++;
        }
        return worse;
}

static struct row measure(int fd, const char *kernel, const char *config, const char *program)
{
        struct bpf_prog_info info = {0};
        uint32_t size = sizeof(info);
        struct row row = {0};

        assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
        snprintf(row.kernel, sizeof(row.kernel), "%s", kernel);
        snprintf(row.config, sizeof(row.config), "%s", config);
        snprintf(row.program, sizeof(row.program), "%s", program);
        row.value[VERIFIED] = info.verified_insns;
        row.value[TRANSLATED] = info.xlated_prog_len;
        row.value[MACHINE] = info.jited_prog_len;
        /* Lines that tests/kernels/baseline collects. */
        print_message("verifier %s %s %s %u %u %u\n", kernel, config, program, row.value[VERIFIED],
                      row.value[TRANSLATED], row.value[MACHINE]);
        return row;
}

static void load(const struct config *config, struct program programs[PROGRAM_COUNT])
{
        static const uint32_t sizes[MAP_COUNT] = {
                [MAP_FLOWS] = 64,     [MAP_FLOW_MARKS] = 64,   [MAP_SERVICES] = 64, [MAP_AFFINITY] = 64,
                [MAP_FRAGMENTS] = 64, [MAP_SOCK_REPLIES] = 64, [MAP_BACKENDS] = 64, [MAP_SLOTS] = 64};
        struct knobs knobs = {.flags = config->flags,
                              .hz = 250,
                              .flow_sets = 64,
                              .mark = 0x800000,
                              .vni = 1,
                              .snat_port_min = 61000,
                              .snat_port_max = 65535,
                              .timeouts = {60, 8000, 10, 30, 120, 30},
                              .host_netns = 1,
                              .pod_mtu = 1450,
                              .vxlan_port = config->flags & KNOB_TUNNEL ? 8472 : 0,
                              .drop_events_per_s = 20};
        struct loader loader = LOADER_NULL;
        struct err err = ERR_NULL;
        int fds[MAP_COUNT];

        if (kernel_lacks("kernel_ctx"))
                knobs.flags &= ~(uint32_t)KNOB_SKB;
        memset(fds, 0xff, sizeof(fds));
        if (loader_open(&loader, (1u << OBJECT_COUNT) - 1, &err) ||
            loader_load(&loader, &knobs, fds, sizes, programs, &err))
                fail_msg("%s", err.msg);
        for (int i = 0; i < MAP_COUNT; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        loader_close(&loader);
}

static void no_program_costs_more_than_before(void **state)
{
        const struct config *config = *state;
        struct program programs[PROGRAM_COUNT];
        char kernel[16];
        int worse = 0;

        read_baseline();
        kernel_version(kernel, sizeof(kernel));
        load(config, programs);
        for (int i = 0; i < PROGRAM_COUNT; i++) {
                struct row row = measure(programs[i].fd, kernel, config->name, program_infos[i].name);

                close(programs[i].fd);
                if (has_baseline(kernel) && !getenv("FL_BASELINE"))
                        worse += compare(&row);
        }
        if (!has_baseline(kernel))
                print_message("# Linux %s is not in tests/bpf/verifier.txt: nothing to compare with\n", kernel);
        if (worse)
                fail_msg("%d figures are worse than the baseline. If that is what the change is worth, run `make "
                         "verifier-baseline` and commit tests/bpf/verifier.txt with it",
                         worse);
}

static int forget_baseline(void **state)
{
        n_baseline = 0;
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                {"no_program_costs_more_than_before_tunnel", no_program_costs_more_than_before, NULL, forget_baseline,
                 (void *)&configs[0]},
                {"no_program_costs_more_than_before_native", no_program_costs_more_than_before, NULL, forget_baseline,
                 (void *)&configs[1]},
        };
        int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "verifier_probe", 4, 4, 1, NULL);

        if (fd < 0) {
                fprintf(stderr, "tests/bpf: BPF maps cannot be made (root? CONFIG_BPF_SYSCALL?): %m\n");
                return 77;
        }
        close(fd);
        return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
