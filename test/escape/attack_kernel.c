/* Kernel surface, other doors into it, and code: E15-E18, E20. */
#include "attack_acts.h"

#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>

/* ---- E15, E16 kernel surface with valid arguments ---- */

long make_ring(target_t *target)
{
	struct io_uring_params parameters = {0};
	(void)target;
	return CALL(SYS_io_uring_setup, 4, &parameters);
}

long make_anonymous_file(target_t *target)
{
	(void)target;
	return CALL(SYS_memfd_create, "attack", 0);
}

long make_user_fault_descriptor(target_t *target)
{
	(void)target;
	return CALL(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
}

long add_key(target_t *target)
{
	(void)target;
	return CALL(SYS_add_key, "user", "attack", "x", 1, KEY_SPEC_PROCESS_KEYRING);
}

long weaken_layout(target_t *target)
{
	(void)target;
	return CALL(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
}

long share_memory(target_t *target)
{
	(void)target;
	long id = CALL(SYS_shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	if (id >= 0)
		(void)CALL(SYS_shmctl, id, IPC_RMID, NULL);
	return id;
}

long nest_filter(target_t *target)
{
	uint32_t action = 0x7fc00000u; /* SECCOMP_RET_USER_NOTIF */
	(void)target;
	return CALL(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &action);
}

/* ---- E17 other doors into the kernel ---- */

long call_i386(target_t *target)
{
	(void)target;
#ifdef __x86_64__
	long result = 20; /* getpid of i386, writev of x86-64 */
	__asm__ volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory");
	/* i386 gives 32 bits. */
	if ((int)result < 0) {
		errno = -(int)result;
		return -1;
	}
	return result;
#else
	errno = ENOSYS;
	return -1;
#endif
}

long call_x32(target_t *target)
{
	(void)target;
	return CALL(0x40000000 | SYS_getpid);
}

long call_with_high_number(target_t *target)
{
	(void)target;
#ifdef __x86_64__
	long result = (long)(HIGH_BIT | SYS_socket);
	register long protocol __asm__("rdx") = 0;
	__asm__ volatile("syscall"
		: "+a"(result)
		: "D"(AF_INET), "S"(SOCK_STREAM), "r"(protocol)
		: "rcx", "r11", "memory");
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
#else
	return CALL(SYS_socket, AF_INET, SOCK_STREAM, 0);
#endif
}

/* ---- E18 programs ---- */

/* Garbage that is executable: ENOEXEC says that only the format was wrong. */
static long executed(long result)
{
	return result < 0 && errno == ENOEXEC ? 0 : -1;
}

long execute_file(target_t *target)
{
	char path[256];
	char *const arguments[] = {path, NULL};
	path_in(target, "program", path, sizeof path);
	return executed(CALL(SYS_execve, path, arguments, NULL));
}

long execute_anonymous_file(target_t *target)
{
	char *const arguments[] = {"x", NULL};
	(void)target;
	long fd = CALL(SYS_memfd_create, "attack", 0);
	if (fd < 0)
		return -1;
	(void)CALL(SYS_write, fd, "garbage garbage", 15);
	return executed(CALL(SYS_execveat, fd, "", arguments, NULL, AT_EMPTY_PATH));
}

/* The file is opened for execution before the arguments are looked at. */
static long would_execute(const char *path)
{
	return CALL(SYS_execve, path, (char *const *)1, NULL) < 0 && errno == EFAULT ? 0 : -1;
}

long execute_descriptor_link(target_t *target)
{
	char path[64];
	(void)target;
	long fd = CALL(SYS_memfd_create, "attack", 0);
	if (fd < 0)
		return -1;
	snprintf(path, sizeof path, "/proc/self/fd/%ld", fd);
	return would_execute(path);
}

/* The loader runs any ELF file, also one that may not be executed. */
long execute_loader(target_t *target)
{
	(void)target;
#ifdef __x86_64__
	return would_execute("/lib64/ld-linux-x86-64.so.2");
#else
	return would_execute("/lib/ld-linux-aarch64.so.1");
#endif
}

long execute_script(target_t *target)
{
	char path[256];
	path_in(target, "script", path, sizeof path);
	return would_execute(path);
}

long map_file_executable(target_t *target)
{
	char path[256];
	path_in(target, "program", path, sizeof path);
	long fd = open_path(path, O_RDONLY);
	return fd < 0 ? -1 : CALL(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

/* ---- E20 code made at run time ---- */

long map_writable_code(target_t *target)
{
	(void)target;
	return CALL(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

long make_executable(target_t *target)
{
	(void)target;
	long page = CALL(
		SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page < 0 ? -1 : CALL(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

long make_executable_by_key(target_t *target)
{
	(void)target;
	long page = CALL(
		SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page < 0 ? -1 : CALL(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1);
}
