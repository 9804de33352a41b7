/* What a process inherited and must not keep. A descriptor is a permission that no
 * later step takes away: Landlock and seccomp look at opening, not at having
 * (CVE-2024-21626, CVE-2016-9962). */
#include "sandbox/steps.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int close_between(unsigned first, unsigned last, struct error *error)
{
	if (first > last)
		return 0;
	/* Closed now, not at an exec that never comes. */
	if (syscall(SYS_close_range, first, last, 0) < 0)
		return error_errno(error, errno, "cannot close descriptors %u to %u", first, last);
	return 0;
}

int fds_close_others(const int *keep, size_t keep_count, struct error *error)
{
	unsigned next = 3;
	for (size_t i = 0; i < keep_count; i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < next)
			return error_set(error, EINVAL,
				"descriptors to keep must be ascending and above 2, not %d",
				keep[i]);
		int result = close_between(next, (unsigned)keep[i] - 1, error);
		if (result < 0)
			return result;
		next = (unsigned)keep[i] + 1;
	}
	return close_between(next, ~0u, error);
}
