#include "isolate/watchdog.h"

#include "common/clock.h"
#include "isolate/inspect.h"
#include "isolate/runtime.h"
#include "isolate/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* One event loop and the thread that it is in. Written by its thread while it is not yet, or
 * no longer, in use, and by the signal handler. */
struct loop {
	_Atomic(const struct worker_stats *) stats; /* NULL: not in use */
	clockid_t clock;
	bool known;       /* SEEN and BASE are right */
	uint64_t seen;    /* turns */
	uint64_t base_ns; /* CPU time when this turn was seen first */
};

static struct loop loops[1 + THREADS_MAX]; /* the process's first thread's is the first */
static atomic_flag looking = ATOMIC_FLAG_INIT;
static uint32_t tick_ms;
static uint64_t limit_ns, first_limit_ns;
static char too_long[160], loading_too_long[160], thread_too_long[160];

static bool cpu_time(clockid_t clock, uint64_t *ret_ns)
{
	struct timespec spent;
	if (clock_gettime(clock, &spent) < 0)
		return false;
	*ret_ns = (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
	return true;
}

/* CPU time that LOOP has used in its turn. */
static uint64_t used_in_turn(struct loop *loop, const struct worker_stats *stats)
{
	uint64_t now;
	if (!cpu_time(loop->clock, &now))
		return 0;
	if (!loop->known || stats->turns != loop->seen || inspect_active()) {
		loop->known = true;
		loop->seen = stats->turns;
		loop->base_ns = now;
	}
	return now - loop->base_ns;
}

static void look_at(struct loop *loop)
{
	const struct worker_stats *stats = atomic_load(&loop->stats);
	const bool is_first = loop == &loops[0];
	if (!stats)
		return;
	const uint64_t used = used_in_turn(loop, stats);
	const bool loading = stats->turns == 0;
	struct worker_stats *page = runtime_first()->stats;
	if (is_first && used > 0 && page->turn_started_ns == 0)
		page->turn_started_ns = clock_ns() - used;
	if (used <= (loading ? first_limit_ns : limit_ns))
		return;
	const char *text = loading ? loading_too_long : is_first ? too_long : thread_too_long;
	(void)!write(STDERR_FILENO, text, strlen(text));
	runtime_exit(WORKER_REASON_CPU_LIMIT, 152, text);
}

/* Runs in the signal handler of any thread: only async-signal-safe calls, no JavaScript. */
static void on_tick(int signal_number)
{
	(void)signal_number;
	int saved = errno;
	/* Another thread may be at it already. */
	if (!atomic_flag_test_and_set(&looking)) {
		for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
			look_at(&loops[i]);
		atomic_flag_clear(&looking);
	}
	errno = saved;
}

/* Of the calling thread, for any thread to ask; what pthread_getcpuclockid(3) makes of glibc's
 * own idea of the thread's number, which a raw clone3(2) may have left behind. */
static clockid_t own_clock(void)
{
	const clockid_t scheduler_and_thread = 6; /* CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD_MASK */
	return (clockid_t)(~(unsigned)syscall(SYS_gettid) << 3) | scheduler_and_thread;
}

static void watch(struct loop *loop, const struct worker_stats *stats)
{
	loop->clock = own_clock();
	loop->known = false;
	atomic_store(&loop->stats, stats);
}

void watchdog_add(const struct worker_stats *stats)
{
	/* Between a look and the store another thread can take the place. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	for (size_t i = 1; limit_ns > 0 && i < sizeof loops / sizeof loops[0]; i++)
		if (!atomic_load(&loops[i].stats)) {
			watch(&loops[i], stats);
			break;
		}
	pthread_mutex_unlock(&lock);
}

void watchdog_remove(const struct worker_stats *stats)
{
	for (size_t i = 1; i < sizeof loops / sizeof loops[0]; i++)
		if (atomic_load(&loops[i].stats) == stats)
			atomic_store(&loops[i].stats, NULL);
	/* STATS and the loop's numbers may be in use by a handler in another thread, which is
	 * short; one in this thread cannot be. */
	while (atomic_flag_test_and_set(&looking))
		sched_yield();
	atomic_flag_clear(&looking);
}

int watchdog_start(uint32_t limit_ms, struct error *error)
{
	if (limit_ms == 0)
		return 0;
	limit_ns = limit_ms * 1000000ull;
	first_limit_ns = worker_first_turn_ms(limit_ms) * 1000000ull;
	tick_ms = limit_ms / 5 < 10 ? 10 : limit_ms / 5 > 100 ? 100 : limit_ms / 5;
	snprintf(too_long, sizeof too_long,
		"one turn of the event loop used more than %u ms of CPU time "
		"(limits.request.cpu)\n",
		limit_ms);
	snprintf(thread_too_long, sizeof thread_too_long,
		"one turn of the event loop of a worker thread used more than %u ms of CPU time "
		"(limits.request.cpu)\n",
		limit_ms);
	snprintf(loading_too_long, sizeof loading_too_long,
		"loading the program used more than %llu ms of CPU time (limits.request.cpu; the "
		"first turn of the event loop may take ten times as much, and 5 s)\n",
		(unsigned long long)(first_limit_ns / 1000000u));
	watch(&loops[0], runtime.stats);
	struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
	struct itimerval every = {
		.it_interval = {.tv_sec = tick_ms / 1000, .tv_usec = tick_ms % 1000 * 1000},
	};
	every.it_value = every.it_interval;
	if (sigaction(SIGPROF, &action, NULL) < 0 || setitimer(ITIMER_PROF, &every, NULL) < 0)
		return error_errno(error, errno, "cannot start the CPU watchdog");
	return 0;
}
