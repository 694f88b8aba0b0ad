/*
 * Loaded into redis-server by LD_PRELOAD: its time of day is what a test has written into a file.
 *
 * MANUAL_CLOCK_FILE names the file: two 64-bit integers in native byte order, both the microseconds since
 * the Unix epoch. They are written one after the other, so a reader that finds them equal has seen no half
 * of a write. The monotonic clock stays real: it drives Redis' timers, and no test waits for it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *copies;

/* Without the file the program must not run: it would run on the real time, unnoticed. */
__attribute__((constructor)) static void map_file(void) {
  const char *path = getenv("MANUAL_CLOCK_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof *copies, PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) abort();
  copies = page;
  close(file);
}

static int64_t microseconds(void) {
  for (;;) {
    int64_t first = __atomic_load_n(&copies[0], __ATOMIC_ACQUIRE);
    int64_t second = __atomic_load_n(&copies[1], __ATOMIC_ACQUIRE);
    if (first == second) return first;
  }
}

/* The allocator may ask for the time before map_file has run. */
int clock_gettime(clockid_t id, struct timespec *now) {
  if (!copies || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return syscall(SYS_clock_gettime, id, now);
  int64_t since_epoch = microseconds();
  now->tv_sec = since_epoch / 1000000;
  now->tv_nsec = since_epoch % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *copy) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (copy) *copy = precise.tv_sec;
  return precise.tv_sec;
}
