/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <limits.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "store/sqlite/queue.h"

static void futex_wait(_Atomic uint32_t *word, uint32_t while_value, const struct timespec *timeout)
{
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_value, timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Only the one who finds the writer sleeping wakes it, so that a crowd costs one system call. */
static void queue_kick(struct queue *q)
{
        if (atomic_load(&q->sleeping) && atomic_exchange(&q->sleeping, 0))
                futex_wake(&q->sleeping);
}

int queue_submit(struct queue *q, struct request *req)
{
        struct request *head = atomic_load(&q->head);

        atomic_init(&req->done, 0);
        do
                req->next = head;
        while (!atomic_compare_exchange_weak(&q->head, &head, req));
        queue_kick(q);
        while (!atomic_load_explicit(&req->done, memory_order_acquire))
                futex_wait(&req->done, 0, NULL);
        /* Only addresses are used here: who saw its result without a wake may be gone already. */
        for (size_t k = 0; k < WAKE_FANOUT; k++)
                if (req->wake[k])
                        futex_wake(req->wake[k]);
        return req->r;
}

struct request *queue_take(struct queue *q)
{
        struct request *req = atomic_exchange(&q->head, NULL), *oldest = NULL;

        while (req) {
                struct request *next = req->next;

                req->next = oldest;
                oldest = req;
                req = next;
        }
        return oldest;
}

void queue_wait(struct queue *q, uint64_t timeout_ns)
{
        struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000), .tv_nsec = (long)(timeout_ns % 1000000000)};

        atomic_store(&q->deep, !timeout_ns);
        atomic_store(&q->sleeping, 1);
        if (!atomic_load(&q->head) && !atomic_load(&q->stopped))
                futex_wait(&q->sleeping, 1, timeout_ns ? &ts : NULL);
        atomic_store(&q->sleeping, 0);
}

bool queue_is_empty(struct queue *q)
{
        return !atomic_load(&q->head);
}

void queue_rouse(struct queue *q)
{
        if (atomic_load(&q->deep))
                queue_kick(q);
}

void queue_stop(struct queue *q)
{
        atomic_store(&q->stopped, true);
        queue_kick(q);
}

void requests_finish(struct request **requests, size_t n)
{
        _Atomic uint32_t *first = &requests[0]->done;

        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < WAKE_FANOUT; k++) {
                        size_t other = WAKE_FANOUT * i + 1 + k;

                        requests[i]->wake[k] = other < n ? &requests[other]->done : NULL;
                }
        for (size_t i = 0; i < n; i++)
                atomic_store_explicit(&requests[i]->done, 1, memory_order_release);
        futex_wake(first);
}
