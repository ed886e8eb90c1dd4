/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of the images:
 *
 *     records/HEX.json    one for each image (record.h); HEX is its id. Its time of change is when it was last used
 *     rootfs/HEX-RANDOM/  an unpacked image
 *     blobs/sha256/HEX    what was downloaded, shared by all: it spares the next pull what it has in common with
 *                         others. Nothing needs them once an image is unpacked
 *     tmp/RANDOM/         a pull: layout/ (an OCI layout whose blobs is a link), root/rootfs, auth.json. Root only
 *     trash/RANDOM        what is being removed
 *     load/               archives and layouts that wait to become images (load.c)
 *     lock                of the process that works here
 *
 * A root is moved into its place and only then named by a record; whatever no record names is swept. So is tmp/ at
 * start, where nobody writes any more: the programs of a pull die with the kubelet.
 */
#pragma once

#include "agent/kubelet/images/images.h"
#include "agent/kubelet/images/record.h"

struct load_watch;
struct reference;
struct pull;

struct images {
        struct loop *loop;
        struct children *children;
        char *folder, *skopeo, *umoci, *registries_conf, *cert_folder, *disk_folder; /* some NULL */
        unsigned int parallel_pulls;
        uint64_t max_bytes, reserve_bytes, stall_ms, timeout_ms, progress_ms;
        int lock;
        struct image_record **records;
        size_t nrecords;
        struct pull *pulls; /* all of them, oldest first */
        unsigned int running;
        struct load_watch *load;
        void (*progress)(void *userdata, const struct image_progress *p);
        void *progress_userdata;
};

/* 0, -EBUSY, or negative errno. */
int store_open(struct images *im, struct err *reterr);
void store_close(struct images *im);

/* By a normal reference. NULL: none. */
struct image_record *store_find(const struct images *im, const struct reference *ref);
struct image_record *store_by_id(const struct images *im, const char *id);

/* What a pull has brought. */
struct store_image {
        const char *id;
        const char *root;   /* the unpacked folder, which is moved; NULL: the image is here already */
        const char *tag;    /* a name that it gets, or NULL */
        const char *digest; /* likewise */
        uint64_t rootfs_bytes;
        const struct blob *blobs;
        size_t nblobs;
        const char *config; /* text */
};
/* It is an image from here on; another image that had the tag has it no more. 0 or negative errno. */
int store_add(struct images *im, const struct store_image *new, struct image_record **ret, struct err *reterr);

void store_used(struct images *im, struct image_record *r);

/* Forgets the image: its record first, then its root goes to the trash. */
void store_remove(struct images *im, struct image_record *r);
/* Moves it away at once; a child process removes it. Nothing when it is not there. */
void store_trash(struct images *im, const char *path);
/* Removes roots that no record names and that are not mounted. */
void store_sweep_roots(struct images *im);
/* Whether an image other than r has the blob. */
bool store_is_shared(const struct images *im, const struct image_record *r, const char *digest);
void store_drop_blob(struct images *im, const char *digest);
/* Removes blobs that no image has, unless a pull may be about to use them. Returns the bytes. */
uint64_t store_sweep_blobs(struct images *im);

/* The text of /proc/self/mountinfo, for store_is_mounted; the caller frees it. */
char *store_mounts(void);
bool store_is_mounted(const char *mounts, const char *root);

/* 16 hexadecimal digits. */
#define STORE_RANDOM_SIZE 17
char *store_random(char buf[static STORE_RANDOM_SIZE]);
