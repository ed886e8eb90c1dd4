/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the HTTP client: one libcurl easy handle set up for one request, and the collecting of its answer. */
#pragma once

#include <curl/curl.h>
#include <pthread.h>

#include "base/httpclient.h"

struct http_call;

/* A PEM as a file name that libcurl's TLS library can open: the given file, or the text in a memfd. */
struct http_pem {
        char *path;
        int fd;
};

struct http_client {
        struct loop *loop;
        char *base_url, *unix_socket, *user_agent, *connect_to;
        struct curl_slist *connect_to_list;
        struct http_pem ca, cert, key;
        bool insecure, http2;
        uint32_t connect_timeout_ms;

        pthread_mutex_t lock; /* idle, nidle, calls */
        CURL *idle[8];        /* handles of http_do between calls, with their connections */
        size_t nidle;
        struct http_call *calls; /* started and not ended */

        CURLM *multi; /* loop's thread only */
        struct loop_timer *timer;
};

struct http_transfer {
        struct http_client *client;
        CURL *easy;
        struct curl_slist *headers;
        struct http_client_response resp;
        const struct http_handler *handler;
        void *userdata;
        size_t limit;
        const atomic_bool *cancel;
        int verdict; /* why a callback of ours broke it off */
        char curl_error[CURL_ERROR_SIZE];
};

/* Sets t->easy up; the request's strings are copied. 0 or -EINVAL. */
int http_transfer_prepare(struct http_transfer *t, const struct http_client_request *req);
/* Fills in error and message of t->resp. */
void http_transfer_finish(struct http_transfer *t, CURLcode result);
/* The easy handle stays. */
void http_transfer_deinit(struct http_transfer *t);
