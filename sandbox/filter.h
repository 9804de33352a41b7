/* What seccomp filters have in common, whosever they are (seccomp(2), seccomp_rule_add(3)):
 * tables of calls and rules, what libseccomp cannot say, the way to a BPF program. Which
 * calls is with the users: seccomp.c, job_filter.c, tenantd-egress, the process that unpacks
 * archives. Whoever includes this links libseccomp. */
#pragma once

#include "common/error.h"
/* Before linux/audit.h, which libseccomp includes: its AUDIT_SYSCALL is a macro. */
#include "common/protocol.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* The last call that the lists were made with; anything later is "newer than we know".
 * From 424 on, numbers are the same on all architectures. */
#define FILTER_NEWEST_CALL 471 /* rseq_slice_yield, Linux 7.2 */

#if defined __x86_64__
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp filter for this architecture yet"
#endif

/* Of an argument. What the kernel takes as 32 bits is compared as 32 bits: the upper half is
 * ignored there, so it must be ignored here (TIOCSTI with bit 32 set, CVE-2019-10063). */
#define MASKED(argument, mask, value) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value)
#define LOW(argument, value) MASKED(argument, 0xffffffffu, value)
#define WITHOUT(argument, bits) MASKED(argument, bits, 0)
#define ONLY(argument, bits) MASKED(argument, 0xffffffffu & ~(unsigned)(bits), 0)
#define WITH(argument, bit) MASKED(argument, bit, bit)
#define EXACTLY(argument, value) SCMP_CMP64(argument, SCMP_CMP_EQ, value)

#define FILTER_PRETEND_DONE (-1) /* 0, and nothing happened */

struct filter_rule {
	int call;
	unsigned count; /* of COMPARE; all must hold */
	struct scmp_arg_cmp compare[3];
	int code; /* 0: allowed; else fails with it, or FILTER_PRETEND_DONE */
};

/* The beginning of a program (an array of struct sock_filter): other ABIs (int 0x80), whose
 * numbers mean other calls, and calls newer than we know, under which x32 (bit 30) and -1
 * fall, are not there. A range of numbers is nothing that libseccomp can say. */
#define FILTER_FOREIGN_CALLS                                                                       \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),                   \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 0, 2),                            \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),             \
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, FILTER_NEWEST_CALL, 0, 1),                     \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)
/* Where a program looks for an argument (little-endian). */
#define FILTER_LOW_HALF(n) offsetof(struct seccomp_data, args[n])

/* A filter without rules: OTHERWISE is what a call gets that no rule names, FOREIGN one of
 * another ABI (SCMP_ACT_…). NULL on failure. Release it with seccomp_release. */
scmp_filter_ctx filter_new(uint32_t otherwise, uint32_t foreign, struct error *error);

/* Calls that are allowed whatever their arguments are. */
int filter_allow(scmp_filter_ctx context, const int *calls, size_t count, struct error *error);
int filter_add(scmp_filter_ctx context, const struct filter_rule *rules, size_t count,
	struct error *error);
/* ENOSYS for calls whose users have another way, which they take on that only: for those
 * whose arguments lie in memory, where no filter can look, for io_uring, which does calls
 * behind the filter's back, for the newest; and for CALLS. */
int filter_pretend_missing(
	scmp_filter_ctx context, const int *calls, size_t count, struct error *error);

/* The program: BEFORE, what CONTEXT says, AFTER. The instructions are the caller's: free(). */
struct filter_part {
	const struct sock_filter *instructions;
	size_t count;
};
int filter_export(scmp_filter_ctx context, struct filter_part before, struct filter_part after,
	struct sock_fprog *ret_program, struct error *error);

/* Loads what CONTEXT says for the calling thread, if RESULT, of building it, is 0; releases
 * it in any case. For who builds a filter for itself alone. */
int filter_load(scmp_filter_ctx context, int result, struct error *error);
