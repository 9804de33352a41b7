/* V8 for the process: flags, entropy, and the platform that runs V8's tasks. */
#include "isolate/engine/internal.h"

#include "isolate/engine/fork_memory.h"

#include <deque>
#include <errno.h>
#include <libplatform/libplatform.h>
#include <mutex>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

namespace
{

double now_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct delayed_task {
	double due;
	std::unique_ptr<v8::Task> task;
};

/* Of this thread: where it posts what may run anywhere. */
__thread task_queue *thread_queue;

} // namespace

/* Tasks of one thread. They run when the event loop says so, never inside of
 * JavaScript, so that all of them count as non-nestable. Other threads may post some: a
 * WebAssembly module is shared by all that have it. */
class task_queue final : public v8::TaskRunner
{
      public:
	bool IdleTasksEnabled() override
	{
		return false;
	}
	bool NonNestableTasksEnabled() const override
	{
		return true;
	}
	bool NonNestableDelayedTasksEnabled() const override
	{
		return true;
	}

	void run()
	{
		/* Those that a task posts wait for the next turn: no task can keep the
		 * loop here for ever. */
		for (size_t due = promote_due(); due > 0; due--) {
			std::unique_ptr<v8::Task> task = take();
			if (task)
				task->Run();
		}
	}
	double wait_seconds() const
	{
		if (count.load(std::memory_order_acquire) == 0)
			return -1;
		std::lock_guard<std::mutex> locked(lock);
		if (!ready.empty())
			return 0;
		if (delayed.empty())
			return -1;
		double least = delayed[0].due;
		for (const delayed_task &entry : delayed)
			least = entry.due < least ? entry.due : least;
		double wait = least - now_seconds();
		return wait > 0 ? wait : 0;
	}
	void clear()
	{
		std::deque<std::unique_ptr<v8::Task>> dropped;
		std::vector<delayed_task> dropped_later;
		std::lock_guard<std::mutex> locked(lock);
		dropped.swap(ready);
		dropped_later.swap(delayed);
		count = 0;
	}
	void on_task(void (*new_callback)(void *arg), void *new_arg)
	{
		std::lock_guard<std::mutex> locked(lock);
		callback = new_callback;
		arg = new_arg;
	}

      protected:
	void PostTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation &) override
	{
		add(std::move(task));
	}
	void PostNonNestableTaskImpl(
		std::unique_ptr<v8::Task> task, const v8::SourceLocation &) override
	{
		add(std::move(task));
	}
	void PostDelayedTaskImpl(
		std::unique_ptr<v8::Task> task, double delay, const v8::SourceLocation &) override
	{
		add_later(std::move(task), delay);
	}
	void PostNonNestableDelayedTaskImpl(
		std::unique_ptr<v8::Task> task, double delay, const v8::SourceLocation &) override
	{
		add_later(std::move(task), delay);
	}

      private:
	/* The thread of this queue looks at it in each turn of its loop; another's task may
	 * come while it waits there. */
	void tell()
	{
		count++;
		if (callback && thread_queue != this)
			callback(arg);
	}
	void add(std::unique_ptr<v8::Task> task)
	{
		std::lock_guard<std::mutex> locked(lock);
		ready.push_back(std::move(task));
		tell();
	}
	void add_later(std::unique_ptr<v8::Task> task, double delay)
	{
		std::lock_guard<std::mutex> locked(lock);
		delayed.push_back({now_seconds() + delay, std::move(task)});
		tell();
	}
	std::unique_ptr<v8::Task> take()
	{
		std::lock_guard<std::mutex> locked(lock);
		if (ready.empty())
			return nullptr;
		std::unique_ptr<v8::Task> task = std::move(ready.front());
		ready.pop_front();
		count--;
		return task;
	}
	/* Returns how many are ready. */
	size_t promote_due()
	{
		std::lock_guard<std::mutex> locked(lock);
		double now = delayed.empty() ? 0 : now_seconds();
		for (size_t i = 0; i < delayed.size();) {
			if (delayed[i].due > now) {
				i++;
				continue;
			}
			ready.push_back(std::move(delayed[i].task));
			delayed.erase(delayed.begin() + (ptrdiff_t)i);
		}
		return ready.size();
	}

	mutable std::mutex lock;
	std::atomic<size_t> count = 0;
	std::deque<std::unique_ptr<v8::Task>> ready;
	std::vector<delayed_task> delayed;
	void (*callback)(void *arg) = nullptr;
	void *arg = nullptr;
};

namespace
{

/* V8's own single-threaded platform, but with a queue that can be asked whether
 * something waits, and for how long: an event loop must know that. */
class platform final : public v8::Platform
{
      public:
	platform()
	    : base(v8::platform::NewSingleThreadedDefaultPlatform()),
	      first(std::make_shared<task_queue>())
	{
	}

	std::shared_ptr<task_queue> queue_of(v8::Isolate *isolate)
	{
		std::lock_guard<std::mutex> locked(lock);
		auto found = queues.find(isolate);
		return found == queues.end() ? first : found->second;
	}
	task_queue *own()
	{
		return thread_queue ? thread_queue : first.get();
	}

	v8::PageAllocator *GetPageAllocator() override
	{
		return base->GetPageAllocator();
	}
	v8::ThreadIsolatedAllocator *GetThreadIsolatedAllocator() override
	{
		return base->GetThreadIsolatedAllocator();
	}
	int NumberOfWorkerThreads() override
	{
		return 0;
	}
	std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(
		v8::Isolate *isolate, v8::TaskPriority) override
	{
		return queue_of(isolate);
	}
	double MonotonicallyIncreasingTime() override
	{
		return now_seconds();
	}
	double CurrentClockTimeMillis() override
	{
		return SystemClockTimeMillis();
	}
	v8::TracingController *GetTracingController() override
	{
		return base->GetTracingController();
	}

	std::unique_ptr<v8::Platform> base;
	std::shared_ptr<task_queue> first;
	std::mutex lock;
	std::unordered_map<v8::Isolate *, std::shared_ptr<task_queue>> queues; /* of further ones */

      protected:
	std::unique_ptr<v8::JobHandle> CreateJobImpl(v8::TaskPriority priority,
		std::unique_ptr<v8::JobTask> job, const v8::SourceLocation &) override
	{
		return v8::platform::NewDefaultJobHandle(this, priority, std::move(job), 0);
	}
	void PostTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task,
		const v8::SourceLocation &) override
	{
		own()->PostTask(std::move(task));
	}
	void PostDelayedTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task,
		double delay, const v8::SourceLocation &) override
	{
		own()->PostDelayedTask(std::move(task), delay);
	}
};

platform *process_platform;

/* Without this V8 opens /dev/urandom, which a confined process cannot. */
bool entropy(unsigned char *buffer, size_t length)
{
	while (length > 0) {
		ssize_t count = getrandom(buffer, length, 0);
		if (count < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		buffer += count;
		length -= (size_t)count;
	}
	return true;
}

int set_flags(const struct engine_flags *flags, struct error *error)
{
	char stack_size[40];
	snprintf(stack_size, sizeof stack_size, "--stack-size=%u", flags->stack_kb);
	char *arguments[16] = {
		(char *)"engine",
		/* Threads do not survive fork. */
		(char *)"--single-threaded",
		/* A string's hash must differ between processes (hash flooding); for
		 * embedders this V8 has it off. */
		(char *)"--rehash-snapshot",
		/* engine_after_fork sets --random-seed. */
		(char *)"--no-freeze-flags-after-init",
		/* With unrolling, V8 13.6 drops the check that TerminateExecution needs
		 * from loops like for(;;){new Array(1000).fill(1.5)}. */
		(char *)"--no-turboshaft-loop-unrolling",
		/* Protection keys belong to threads and to the filter of system calls;
		 * the same on every machine is worth more than them here. */
		(char *)"--no-memory-protection-keys",
		/* `import source` of WebAssembly, as Node has it. */
		(char *)"--js-source-phase-imports",
	};
	int count = 7;
	if (flags->jitless)
		arguments[count++] = (char *)"--jitless";
	if (flags->stack_kb)
		arguments[count++] = stack_size;
	/* V8 takes out the flags that it knows. */
	v8::V8::SetFlagsFromCommandLine(&count, arguments, true);
	if (count > 1)
		return error_set(error, EINVAL, "V8 %s does not know the flag %s",
			v8::V8::GetVersion(), arguments[1]);
	return 0;
}

void fatal_without_isolate(const char *file, int line, const char *message)
{
	char where[256];
	snprintf(where, sizeof where, "%s:%d", file ? file : "V8", line);
	if (engine_current && engine_current->fatal_callback)
		engine_current->fatal_callback(engine_current->fatal_arg, where, message);
	fprintf(stderr, "fatal error in V8: %s: %s\n", where, message ? message : "");
	abort();
}

} // namespace

bool process_is_initialized(void)
{
	return process_platform != nullptr;
}

std::shared_ptr<task_queue> process_queue_first(void)
{
	thread_queue = process_platform->first.get();
	return process_platform->first;
}

std::shared_ptr<task_queue> process_queue_new(v8::Isolate *isolate)
{
	std::shared_ptr<task_queue> queue = std::make_shared<task_queue>();
	std::lock_guard<std::mutex> locked(process_platform->lock);
	process_platform->queues[isolate] = queue;
	thread_queue = queue.get();
	return queue;
}

void process_queue_forget(v8::Isolate *isolate)
{
	std::lock_guard<std::mutex> locked(process_platform->lock);
	if (process_platform->queues.erase(isolate))
		thread_queue = nullptr;
}

void process_queue_on_task(task_queue *queue, void (*callback)(void *arg), void *arg)
{
	queue->on_task(callback, arg);
}

void process_run_tasks(task_queue *queue)
{
	queue->run();
}

double process_tasks_wait_seconds(const task_queue *queue)
{
	return queue->wait_seconds();
}

void process_clear_tasks(task_queue *queue)
{
	queue->clear();
}

int engine_process_init(const struct engine_flags *flags, struct error *error)
{
	if (process_platform)
		return error_set(error, EALREADY, "V8 is already initialised");
	fork_memory_link();
	int result = set_flags(flags, error);
	if (result < 0)
		return result;
	v8::V8::SetEntropySource(entropy);
	v8::V8::SetFatalErrorHandler(fatal_without_isolate);
	process_platform = new platform;
	v8::V8::InitializePlatform(process_platform);
	if (!v8::V8::Initialize())
		return error_set(error, ENOEXEC, "cannot initialise V8 %s", v8::V8::GetVersion());
	return 0;
}

int engine_check_fork_safe(struct error *error)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	if (!file)
		return error_errno(error, errno, "cannot open /proc/self/smaps");
	char line[512];
	unsigned lost = 0;
	while (fgets(line, sizeof line, file))
		lost += strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dc") != nullptr;
	fclose(file);
	if (lost > 0)
		return error_set(error, ENOTSUP,
			"V8's memory would not survive fork: %u mappings are marked "
			"MADV_DONTFORK, so the engine's madvise is not in effect; link the "
			"executable with -Wl,--export-dynamic-symbol=madvise",
			lost);
	return 0;
}

const char *engine_version(void)
{
	return v8::V8::GetVersion();
}

uint32_t engine_cache_tag(void)
{
	return v8::ScriptCompiler::CachedDataVersionTag();
}
