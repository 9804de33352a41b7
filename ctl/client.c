#include "ctl/client.h"

#include "common/cleanup.h"
#include "common/control.h"
#include "common/file.h"
#include "common/message.h"
#include "common/units.h"
#include "ctl/output.h"
#include "policy/policy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LINES_DEFAULT "100"

static const char *socket_path(const struct invocation *invocation)
{
	if (invocation->options[OPTION_SOCKET])
		return invocation->options[OPTION_SOCKET];
	const char *path = getenv(CONTROL_SOCKET_ENVIRONMENT);
	return path && path[0] ? path : CONTROL_SOCKET_DEFAULT;
}

int client_connect(const struct invocation *invocation, int *ret_fd, struct error *error)
{
	const char *path = socket_path(invocation);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return error_set(error, ENAMETOOLONG,
			"the socket's path is longer than %zu bytes: %s",
			sizeof address.sun_path - 1, path);
	memcpy(address.sun_path, path, strlen(path));
	cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		*ret_fd = take_fd(&fd);
		return 0;
	}
	int code = errno;
	if (code == EACCES || code == EPERM)
		return error_set(error, code,
			"cannot reach tenantd at %s: %s; only root may drive it: try sudo", path,
			strerror(code));
	return error_set(error, code,
		"cannot reach tenantd at %s: %s; is it running? (start it with `systemctl start "
		"tenantd`, or name another socket with --socket)",
		path, strerror(code));
}

int client_send(int fd, const json_t *request, const int *fds, size_t fd_count, struct error *error)
{
	cleanup_free char *text = json_dumps(request, JSON_COMPACT);
	if (!text)
		return error_errno(error, ENOMEM, "cannot write the request");
	size_t length = strlen(text);
	if (length > CONTROL_LENGTH_MAX)
		return error_set(error, EMSGSIZE,
			"the request is too long: %zu bytes, where %d are allowed (policy and "
			"arguments together)",
			length, CONTROL_LENGTH_MAX);
	int result = message_send(fd, text, length, fds, fd_count);
	if (result == -EPIPE || result == -ECONNRESET)
		return error_set(error, EPIPE,
			"tenantd refused the connection: it serves root, or the user it runs as");
	return result < 0 ? error_errno(error, result, "cannot send the request") : 0;
}

static int receive_with(int fd, int flags, json_t **ret_message, int *ret_fds, size_t *fd_count,
	struct error *error)
{
	static char data[CONTROL_LENGTH_MAX + 1];
	ssize_t length = message_receive(fd, data, sizeof data, ret_fds, fd_count, flags);
	if (length == -EAGAIN)
		return 0;
	if (length == 0 || length == -ECONNRESET)
		return error_set(error, ECONNRESET,
			"tenantd ended the connection without an answer; its log may say why");
	if (length < 0)
		return error_errno(error, (int)length, "cannot receive tenantd's answer");
	json_error_t where;
	json_t *message = json_loadb(data, (size_t)length, 0, &where);
	if (!json_is_object(message)) {
		json_decref(message);
		return error_set(error, EBADMSG,
			"tenantd's answer is not a JSON object: is that "
			"another program's socket?");
	}
	*ret_message = message;
	return 1;
}

int client_receive(int fd, int flags, json_t **ret_message, struct error *error)
{
	return receive_with(fd, flags, ret_message, NULL, NULL, error);
}

const json_t *client_tenant(const json_t *done)
{
	const json_t *tenant = json_object_get(done, "tenant");
	return json_is_object(tenant) ? tenant : done;
}

json_t *client_request(const char *verb, const char *name)
{
	json_t *request = json_pack("{s:s}", "verb", verb);
	if (name)
		json_object_set_new(request, "name", json_string(name));
	return request;
}

int client_report(const json_t *error)
{
	const char *code = output_string(error, "code"), *message = output_string(error, "message");
	json_int_t exit = output_integer(error, "exit");
	if (exit < 1 || exit > 255)
		exit = CONTROL_EXIT_FAILURE;
	return output_fail((int)exit, code[0] ? code : "failed", "%s",
		message[0] ? message : "tenantd failed without a reason");
}

/* With --no-wait the end of the (shortest possible) wait is what was asked for. */
static bool is_expected(const struct invocation *invocation, const json_t *failed)
{
	return invocation->options[OPTION_NO_WAIT] &&
	       output_integer(failed, "exit") == CONTROL_EXIT_TIMEOUT;
}

/* What is to be known of a success: for people, in whatever form the result is shown. */
static void show_note(const json_t *done)
{
	char safe[1024];
	const char *note = json_string_value(json_object_get(done, "note"));
	if (note)
		fprintf(stderr, "tenantctl: note: %s\n", output_safe(safe, sizeof safe, note));
}

/* Receives until the answer is complete. */
static int receive_answer(int fd, client_item *item, void *data, json_t **ret_done,
	json_t **ret_failed, struct error *error)
{
	for (;;) {
		json_t *message;
		int result = client_receive(fd, 0, &message, error);
		if (result < 0)
			return result;
		const json_t *one = json_object_get(message, "item");
		if (one && item)
			item(one, data);
		*ret_done = json_incref(json_object_get(message, "done"));
		*ret_failed = json_incref(json_object_get(message, "error"));
		json_decref(message);
		show_note(*ret_done);
		if (*ret_done || *ret_failed)
			return 0;
	}
}

int client_exchange(const struct invocation *invocation, json_t *request, const int *fds,
	size_t fd_count, client_item *item, void *data, json_t **ret_done, json_t **ret_failed)
{
	struct error error = {0};
	cleanup_close int fd = -1;
	int result = client_connect(invocation, &fd, &error);
	const char *code = result < 0 ? "unreachable" : "connection";
	if (result == 0)
		result = client_send(fd, request, fds, fd_count, &error);
	json_decref(request);
	if (result == 0)
		result = receive_answer(fd, item, data, ret_done, ret_failed, &error);
	if (result < 0)
		return output_fail(CONTROL_EXIT_FAILURE, code, "%s", error.message);
	return 0;
}

int client_call(const struct invocation *invocation, json_t *request, const int *fds,
	size_t fd_count, client_item *item, void *data, json_t **ret_done)
{
	json_t *done = NULL, *failed = NULL;
	int code = client_exchange(invocation, request, fds, fd_count, item, data, &done, &failed);
	if (code == 0 && failed && !is_expected(invocation, failed))
		code = client_report(failed);
	json_decref(failed);
	if (code == 0 && ret_done)
		*ret_done = done;
	else
		json_decref(done);
	return code;
}

int client_call_fds(const struct invocation *invocation, json_t *request, json_t **ret_done,
	int *ret_fds, size_t *fd_count)
{
	struct error error = {0};
	cleanup_close int fd = -1;
	json_t *message = NULL;
	int result = client_connect(invocation, &fd, &error);
	const char *what = result < 0 ? "unreachable" : "connection";
	if (result == 0)
		result = client_send(fd, request, NULL, 0, &error);
	json_decref(request);
	if (result == 0)
		result = receive_with(fd, 0, &message, ret_fds, fd_count, &error);
	if (result < 0)
		return output_fail(CONTROL_EXIT_FAILURE, what, "%s", error.message);
	int code = 0;
	const json_t *failed = json_object_get(message, "error");
	*ret_done = json_incref(json_object_get(message, "done"));
	if (failed || !*ret_done)
		code = client_report(failed);
	json_decref(message);
	return code;
}

/* A bare number is seconds, as for timeout(1). */
static int parse_timeout(const char *text, uint64_t *ret_ms)
{
	if (text[0] && strspn(text, "0123456789") == strlen(text) && strlen(text) < 7) {
		*ret_ms = strtoull(text, NULL, 10) * 1000;
		return 0;
	}
	return units_parse_duration(text, ret_ms);
}

int client_put_wait(const struct invocation *invocation, json_t *request)
{
	const char *timeout = invocation->options[OPTION_TIMEOUT];
	uint64_t ms;
	if (invocation->options[OPTION_NO_WAIT]) {
		json_object_set_new(request, "wait_ms", json_integer(1));
		return 0;
	}
	if (!timeout)
		return 0;
	if (parse_timeout(timeout, &ms) < 0 || ms < 1 || ms > 24 * 3600 * 1000)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--timeout: `%s` is no time between 1ms and 24h, such as 500ms, 30s or 5m",
			timeout);
	json_object_set_new(request, "wait_ms", json_integer((json_int_t)ms));
	return 0;
}

int client_put_policy(const struct invocation *invocation, json_t *request)
{
	const char *path = invocation->options[OPTION_POLICY];
	struct error error = {0};
	if (!path)
		return 0;
	cleanup_free char *text = NULL;
	size_t length;
	if (file_read(AT_FDCWD, path, POLICY_LENGTH_MAX, &text, &length, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "policy", "%s", error.message);
	/* The daemon does not trust this check; it only answers sooner. */
	struct policy *policy = NULL;
	if (policy_parse(text, length, path, &policy, &error) < 0)
		return output_fail(CONTROL_EXIT_FAILURE, "policy", "%s", error.message);
	policy_free(policy);
	json_object_set_new(request, "policy", json_stringn(text, length));
	json_object_set_new(request, "policy_file", json_string(path));
	return 0;
}

int client_check_name(const char *name)
{
	struct error error = {0};
	if (policy_check_name(name, &error) < 0)
		return output_fail(CONTROL_EXIT_USAGE, "name", "%s", error.message);
	return 0;
}

int client_request_lines(
	const struct invocation *invocation, const char *verb, json_t **ret_request)
{
	const char *name = invocation->argument_count ? invocation->arguments[0] : NULL;
	const char *lines = invocation->options[OPTION_LINES];
	if (!lines)
		lines = LINES_DEFAULT;
	size_t length = strlen(lines);
	int code = name ? client_check_name(name) : 0;
	if (code)
		return code;
	if (length == 0 || length > 7 || strspn(lines, "0123456789") != length)
		return output_fail(CONTROL_EXIT_USAGE, "usage",
			"--lines: `%s` is no number between 0 and 9999999", lines);
	*ret_request = client_request(verb, name);
	json_object_set_new(*ret_request, "lines", json_integer(atoi(lines)));
	json_object_set_new(
		*ret_request, "follow", json_boolean(invocation->options[OPTION_FOLLOW] != NULL));
	return 0;
}
