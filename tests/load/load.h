/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load client for HTTPS servers: many connections on one thread, one request after the other on each, and streams
 * (watches) beside them. It measures from the client's side and prints nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

struct load;

struct load_target {
        const char *address; /* an IPv4 address */
        uint16_t port;
        const char *cert_file, *key_file; /* the client's, PEM; NULL: none */
};

int load_new(const struct load_target *target, struct load **ret, struct err *reterr);
void load_free(struct load *l);

/* What to send: the request of number seq (counted over all connections) in full. */
struct load_requests {
        void *userdata;
        void (*make)(void *userdata, uint64_t seq, struct strbuf *b);
        uint64_t count;       /* stop after that many; 0: not */
        uint64_t duration_ns; /* stop after that time; 0: not */
        uint64_t every_ns;    /* one request each such time at most, 0: as fast as answers come */
};

struct load_result {
        uint64_t requests, errors; /* errors: answers other than 2xx */
        int first_error;           /* its status, 0 when there was none */
        uint64_t bytes;            /* of answers' bodies */
        double seconds;
        double p50_us, p90_us, p99_us, max_us;
};

/* Opens connections for requests, all handshakes done. 0 or negative errno. */
int load_open(struct load *l, unsigned n, struct err *reterr);
/* Opens streams, each with a request of its own for path; returns when each has the head of its answer. on_data gets
 * what arrives in them, without the chunks' framing. */
typedef void (*load_data_fn)(void *userdata, unsigned stream, const char *data, size_t n);
int load_open_streams(struct load *l, unsigned n, const char *path, load_data_fn on_data, void *userdata,
                      struct err *reterr);
/* Drives the opened connections (and the streams meanwhile) to the end of the plan. */
int load_run(struct load *l, const struct load_requests *plan, struct load_result *ret, struct err *reterr);
/* Only receives, for that long. */
int load_listen(struct load *l, uint64_t duration_ns, struct err *reterr);

/* Latencies in microseconds, any number of them. */
struct load_samples {
        float *us;
        size_t n, cap;
};

void load_samples_add(struct load_samples *s, double us);
/* The smallest value that at least that share (0.5, 0.99) of the samples does not exceed; sorts them. 0 without any. */
double load_samples_quantile(struct load_samples *s, double share);
void load_samples_deinit(struct load_samples *s);
