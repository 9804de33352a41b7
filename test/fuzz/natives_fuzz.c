/* Native functions with arbitrary values: the real engine, out of a snapshot in which every
 * native function is wrapped (natives/prologue.js). An input is what natives/drive.js reads it
 * as.
 *
 * The engine has a thread of its own, with no files but those of an empty folder, no network and
 * no rights, while libFuzzer's reads and writes the corpus as ever. It cannot write the input of
 * a crash, which happens in the other: that is the line "Base64:" of what it prints. */
#include "common/cleanup.h"
#include "common/file.h"
#include "isolate/modules.h"
#include "isolate/natives.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
#define TURNS 4           /* of the loop, after an input */
#define INPUTS_A_SWEEP 64 /* inputs between two collections of garbage */

static struct worker_start start = {
	.tenant = "fuzz",
	.entry = "fuzz.js",
	.root = "/app",
	.folder = "",
	.mode = WORKER_MODE_SCRIPT,
	.allow_eval = true,
	.allow_wasm = true,
	.allow_jit = true,
	.memory_bytes = 1u << 30,
	.files = 64,
};

static engine_ref *drive;

/* The engine stays open at the end, with all that it holds. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* Nothing that is called here may end the process. */
_Noreturn void _exit(int code)
{
	fprintf(stderr, "natives_fuzz: a native function ended the process, code %d\n", code);
	abort();
}

_Noreturn static void give_up(const char *what)
{
	perror(what);
	exit(1);
}

/* A file system in memory, of the thread's own and with a bound, as the only one. */
static void confine(void)
{
	if (geteuid() != 0)
		return; /* what the user may not do, a native function may not either */
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("fuzz", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=0777") < 0)
		give_up("natives_fuzz: a mount namespace");
	if (chdir("/mnt") < 0 || chroot(".") < 0)
		give_up("natives_fuzz: chroot");
	/* The C library's functions would take them from all threads. */
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
		syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) < 0 ||
		syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0)
		give_up("natives_fuzz: to be nobody");
}

static engine_value *global_fuzz(const char *name)
{
	engine_value *fuzz = engine_get(runtime.engine, engine_global(runtime.engine), "fuzz");
	engine_value *value = fuzz ? engine_get(runtime.engine, fuzz, name) : NULL;
	return value ? value : engine_undefined(runtime.engine);
}

static void run_file(const char *name, const char *source, size_t length)
{
	if (engine_run_script(runtime.engine, source, length, name, NULL) == 0)
		return;
	cleanup_free char *text =
		engine_exception_describe(runtime.engine, engine_exception_take(runtime.engine));
	fprintf(stderr, "natives_fuzz: %s: %s\n", name, text);
	exit(1);
}

static void print(const char *name)
{
	engine_value *text;
	char buffer[16384];
	if (engine_call_function(runtime.engine, global_fuzz(name),
		    engine_undefined(runtime.engine), NULL, 0, &text) < 0)
		exit(1);
	size_t length = engine_string_write_utf8(runtime.engine, text, buffer, sizeof buffer, NULL);
	if (length > 0)
		fprintf(stderr, "natives_fuzz: %s: %.*s\n", name, (int)length, buffer);
}

static void turn_loop(void)
{
	for (int i = 0; i < TURNS; i++)
		uv_run(&runtime.loop, UV_RUN_NOWAIT);
}

static const char *const programs[] = {"values.js", "scenarios.js", "drive.js"};

static void open_engine(void)
{
	struct error error = {0};
	struct engine_scope scope;
	char *sources[ARRAY_LENGTH(programs)];
	size_t lengths[ARRAY_LENGTH(programs)];
	for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", NATIVES_FUZZ_PROGRAMS, programs[i]);
		if (file_read(AT_FDCWD, path, 1u << 20, &sources[i], &lengths[i], &error) < 0)
			goto fail;
	}
	if (runtime_open(NATIVES_FUZZ_SNAPSHOT, false, &error) < 0)
		goto fail;
	confine();
	if (runtime_start(&start, &error) < 0)
		goto fail;
	modules_init();
	engine_scope_open(runtime.engine, &scope);
	for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
		run_file(programs[i], sources[i], lengths[i]);
		free(sources[i]);
	}
	runtime_tick();
	turn_loop();
	print("failures");
	if (getenv("NATIVES_FUZZ_UNREACHED"))
		print("unreached");
	drive = engine_ref_new(runtime.engine, global_fuzz("drive"));
	engine_scope_close(runtime.engine, &scope);
	return;
fail:
	fprintf(stderr, "natives_fuzz: %s\n", error.message);
	exit(1);
}

static void take_input(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	struct engine_scope scope;
	engine_scope_open(runtime.engine, &scope);
	engine_value *bytes = engine_bytes_copy(runtime.engine, data, size);
	if (bytes)
		runtime_call(engine_ref_get(runtime.engine, drive),
			engine_undefined(runtime.engine), &bytes, 1);
	else
		engine_exception_take(runtime.engine);
	engine_scope_close(runtime.engine, &scope);
	turn_loop();
	if (++inputs % INPUTS_A_SWEEP == 0)
		engine_collect_garbage(runtime.engine);
}

/* ---- the two threads ---- */

static struct {
	const uint8_t *data;
	size_t size;
	sem_t ready, done;
} input;

static void *run_engine(void *arg)
{
	(void)arg;
	open_engine();
	for (;;) {
		sem_post(&input.done);
		while (sem_wait(&input.ready) < 0)
			;
		take_input(input.data, input.size);
	}
	return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* As long as an input is printed; and what V8 holds at the end is no leak. */
	static char length[] = "-max_len=256", leaks[] = "-detect_leaks=0";
	static char *arguments[64];
	if ((size_t)*argc + 3 > ARRAY_LENGTH(arguments))
		return 1;
	arguments[0] = (*argv)[0];
	arguments[1] = length;
	arguments[2] = leaks;
	memcpy(arguments + 3, *argv + 1, (size_t)(*argc - 1) * sizeof arguments[0]);
	*argc += 2;
	*argv = arguments;
	pthread_t thread;
	sem_init(&input.ready, 0, 0);
	sem_init(&input.done, 0, 0);
	if (pthread_create(&thread, NULL, run_engine, NULL) != 0)
		give_up("natives_fuzz: a thread");
	while (sem_wait(&input.done) < 0)
		;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input.data = data;
	input.size = size;
	sem_post(&input.ready);
	while (sem_wait(&input.done) < 0)
		;
	return 0;
}
