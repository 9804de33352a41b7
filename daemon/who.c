#include "daemon/who.h"

#include "common/cleanup.h"
#include "common/escape.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define LOGIN_NONE UINT32_MAX
#define PASSWD_LINES_MAX 100000

const struct who who_daemon = {0};

/* The name of a user id in /etc/passwd. Not by getpwuid(3): that may ask a directory server,
 * and everybody would wait with us. */
static void find_user(uint32_t uid, char name[WHO_NAME_MAX])
{
	cleanup_fclose FILE *file = fopen("/etc/passwd", "re");
	name[0] = '\0';
	for (int line = 0; file && line < PASSWD_LINES_MAX; line++) {
		const struct passwd *entry = fgetpwent(file);
		if (entry == NULL)
			return;
		if (entry->pw_uid != uid)
			continue;
		escape_line(name, WHO_NAME_MAX, entry->pw_name, strlen(entry->pw_name), 0);
		return;
	}
}

/* Reads a small file of /proc/PID. */
static ssize_t read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, buffer, size - 1);
	buffer[length > 0 ? length : 0] = '\0';
	return length;
}

/* The id of whoever logged in: the kernel keeps it over sudo and su (audit's loginuid). */
static uint32_t read_login(pid_t pid)
{
	char text[32];
	uint32_t login = LOGIN_NONE;
	if (read_proc(pid, "loginuid", text, sizeof text) > 0)
		login = (uint32_t)strtoul(text, NULL, 10);
	return login;
}

static bool is_alive(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	return pidfd >= 0 && poll(&ended, 1, 0) == 0;
}

/* What /proc says of PIDFD's process; nothing, if the number may be another's by now. */
static void look_up(int pidfd, struct who *who)
{
	char command[32];
	ssize_t length = read_proc(who->pid, "comm", command, sizeof command);
	uint32_t login = read_login(who->pid);
	if (!is_alive(pidfd))
		return;
	if (length > 0 && command[length - 1] == '\n')
		length--;
	if (length > 0)
		escape_line(who->command, sizeof who->command, command, (size_t)length, 0);
	if (login != LOGIN_NONE && login != who->uid)
		find_user(login, who->login);
}

void who_of_socket(int fd, struct who *ret_who)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	int pidfd = -1;
	*ret_who = (struct who){.uid = UINT32_MAX};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return;
	ret_who->uid = peer.uid;
	ret_who->pid = peer.pid;
	find_user(peer.uid, ret_who->user);
	length = sizeof pidfd;
	/* An older kernel: the process may be another by now, if the first ended at once. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0)
		pidfd = peer.pid > 0 ? pidfd_open(peer.pid, 0) : -1;
	look_up(pidfd, ret_who);
	close_fd(&pidfd);
}

void who_of_process(pid_t pid, uint32_t uid, struct who *ret_who)
{
	*ret_who = (struct who){.uid = uid, .pid = pid};
	find_user(uid, ret_who->user);
	cleanup_close int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
	look_up(pidfd, ret_who);
}

json_t *who_describe(const struct who *who)
{
	if (who->pid == 0)
		return json_null();
	return json_pack("{s:I, s:s, s:s, s:i, s:s}", "uid", (json_int_t)who->uid, "user",
		who->user, "login", who->login, "pid", (int)who->pid, "command", who->command);
}

const char *who_text(const struct who *who, char text[WHO_TEXT_MAX])
{
	if (who->pid == 0)
		snprintf(text, WHO_TEXT_MAX, "tenantd");
	else
		snprintf(text, WHO_TEXT_MAX, "%s%s%s (uid %u, pid %d%s%s)",
			who->login[0] ? who->login : "", who->login[0] ? " as " : "",
			who->user[0] ? who->user : "an unknown user", who->uid, (int)who->pid,
			who->command[0] ? ", " : "", who->command);
	return text;
}
