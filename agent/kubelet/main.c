/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/kubelet/kubelet.h"
#include "base/flags.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/supervisor.h"

static void on_signal(void *userdata)
{
        supervisor_notify("STOPPING=1");
        loop_stop(userdata);
}

static int run(const struct kubelet_config *config, struct err *reterr)
{
        struct loop_signal *term = NULL, *interrupt = NULL;
        struct kubelet *k = NULL;
        struct loop *loop = NULL;
        int r = loop_new(&loop);

        if (!r)
                r = loop_signal_new(loop, SIGTERM, on_signal, loop, &term);
        if (!r)
                r = loop_signal_new(loop, SIGINT, on_signal, loop, &interrupt);
        if (!r)
                r = kubelet_open(loop, config, &k, reterr);
        if (!r)
                r = loop_run(loop);
        kubelet_close(k);
        loop_signal_free(term);
        loop_signal_free(interrupt);
        loop_free(loop);
        return r;
}

int main(int argc, char **argv)
{
        struct kubelet_config config;
        struct err err = ERR_NULL;
        enum log_level level = LOG_LEVEL_INFO;
        int r = kubelet_config_parse(argc, argv, &config, &err);

        if (r) {
                if (r != FLAGS_EXIT)
                        fprintf(stderr, "fairlead-kubelet: %s\n", err.msg);
                kubelet_config_deinit(&config);
                return r == FLAGS_EXIT ? 0 : 2;
        }
        log_level_parse(config.log_level, &level);
        log_init("kubelet", level);
        signal(SIGPIPE, SIG_IGN);
        umask(0022); /* what images and volumes are made of is for users of containers, too */
        mem_keep_little();
        r = run(&config, &err);
        if (r)
                fprintf(stderr, "fairlead-kubelet: %s\n", *err.msg ? err.msg : strerror(-r));
        kubelet_config_deinit(&config);
        return r ? 1 : 0;
}
