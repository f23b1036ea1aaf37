// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The SR-IOV stage of a resume with nothing around it: one thread per PF, one write(2) per file.
 *
 *	vf_stage stock  N IDS PF...	N to sriov_numvfs
 *	vf_stage series N IDS PF...	N to sriov_numvfs_no_scan, then IDS to sriov_scan_vf_id
 *
 * IDS is an ascending list without ranges ("12,37,62"). Prints the seconds until the writes have returned on all PFs
 * and until the last of IDS was present on all PFs (stock adds in ascending order). The watcher polls every 10 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PFS = 64, POLL_EVERY_NS = 10 * 1000 * 1000 };

static const char *numvfs, *ids;
static int series;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void put(const char *pf, const char *file, const char *value)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", pf, file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0) {
		fprintf(stderr, "write '%s' to %s: %s\n", value, path, strerror(errno));
		exit(1);
	}
	close(fd);
}

static void *enable(void *pf)
{
	put(pf, series ? "sriov_numvfs_no_scan" : "sriov_numvfs", numvfs);
	if (series)
		put(pf, "sriov_scan_vf_id", ids);
	return NULL;
}

struct watch {
	char **pfs;
	int count;
	double seen;
};

static void *poll_vfs(void *argument)
{
	const struct timespec pause = { 0, POLL_EVERY_NS };
	struct watch *watch = argument;
	const char *last = strrchr(ids, ',') ? strrchr(ids, ',') + 1 : ids;
	char path[256];
	int next = 0;

	while (next < watch->count) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn%s", watch->pfs[next], last);
		if (access(path, F_OK) == 0)
			next++;
		else
			nanosleep(&pause, NULL);
	}
	watch->seen = now();
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_PFS], watcher;
	struct watch watch = { argv + 4, argc - 4, 0 };
	double start;

	if (argc < 5 || argc - 4 > MAX_PFS) {
		fprintf(stderr, "usage: vf_stage stock|series N IDS PF...\n");
		return 2;
	}
	series = !strcmp(argv[1], "series");
	numvfs = argv[2];
	ids = argv[3];
	start = now();
	pthread_create(&watcher, NULL, poll_vfs, &watch);
	for (int i = 0; i < watch.count; i++)
		pthread_create(&threads[i], NULL, enable, watch.pfs[i]);
	for (int i = 0; i < watch.count; i++)
		pthread_join(threads[i], NULL);
	printf("{\"written_s\": %.6f, ", now() - start);
	pthread_join(watcher, NULL);
	printf("\"used_s\": %.6f}\n", watch.seen - start);
	return 0;
}
