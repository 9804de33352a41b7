/* libcurl's multi interface on libuv: one uv_poll for each socket, one timer, a queue in
 * front of it. */
#include "isolate/fetch.h"

#include "common/cleanup.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/random.h>

#define POOL_MAX 32         /* easy handles that are kept for the next transfers */
#define CONNECTIONS_KEPT 64 /* idle ones */
#define RUNNING_MOST 512
#define RUNNING_LEAST 16
#define KEEPER_MS 86400000

static _Thread_local struct {
	CURLM *multi;
	uv_timer_t timer; /* curl's */
	/* Keeps the program alive, or not: the handles of curl's sockets and clock never do. */
	uv_timer_t keeper;
	uv_timer_t kick; /* fires at once: there are events that nobody was told */
	CURL *pool[POOL_MAX];
	size_t pooled;
	size_t running, running_most;
	struct fetch_transfer *queue_first, **queue_end;
	struct fetch_transfer *dirty_first, **dirty_end;
} all;

static void after_curl(void);

/* ---- before the fork ---- */

int fetch_prepare(struct error *error)
{
	/* It would be a file that the first connection writes keys to. */
	unsetenv("SSLKEYLOGFILE");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(error, ENOTSUP, "cannot initialise libcurl");
	const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
	const char *tls = version->ssl_version ? version->ssl_version : "no TLS";
	if (strncmp(tls, "OpenSSL", 7) != 0)
		return error_set(error, ENOTSUP,
			"libcurl is built with %s; fetch needs one with OpenSSL", tls);
	/* OpenSSL finds its algorithms once, here, and not in each worker. */
	SSL_CTX_free(SSL_CTX_new(TLS_client_method()));
	return 0;
}

/* ---- telling JavaScript ---- */

static void on_kick(uv_timer_t *handle)
{
	(void)handle;
	after_curl();
}

static void on_keeper(uv_timer_t *handle)
{
	(void)handle;
}

void fetch_multi_mark(struct fetch_transfer *transfer, unsigned events)
{
	transfer->events |= events;
	if (transfer->dirty)
		return;
	transfer->dirty = true;
	transfer->next_dirty = NULL;
	*all.dirty_end = transfer;
	all.dirty_end = &transfer->next_dirty;
	if (!uv_is_active((uv_handle_t *)&all.kick))
		uv_timer_start(&all.kick, on_kick, 0, 0);
}

static void unmark(struct fetch_transfer *transfer)
{
	struct fetch_transfer **place = &all.dirty_first;
	if (!transfer->dirty)
		return;
	while (*place != transfer)
		place = &(*place)->next_dirty;
	*place = transfer->next_dirty;
	if (all.dirty_end == &transfer->next_dirty)
		all.dirty_end = place;
	transfer->dirty = false;
}

/* What is marked meanwhile waits for the next turn of the loop. */
static void tell_all(void)
{
	size_t count = 0;
	uv_timer_stop(&all.kick);
	for (struct fetch_transfer *one = all.dirty_first; one; one = one->next_dirty)
		count++;
	while (count-- > 0 && all.dirty_first) {
		struct fetch_transfer *transfer = all.dirty_first;
		unmark(transfer);
		fetch_tell(transfer);
	}
	if (all.dirty_first)
		uv_timer_start(&all.kick, on_kick, 0, 0);
	fetch_multi_reference();
}

void fetch_multi_reference(void)
{
	struct fetch_transfer *one = NULL;
	while ((one = fetch_next(one)))
		if (one->state != FETCH_DONE && (!one->body_paused || one->body_wanted)) {
			uv_ref((uv_handle_t *)&all.keeper);
			return;
		}
	uv_unref((uv_handle_t *)&all.keeper);
}

/* ---- the queue ---- */

static void run(struct fetch_transfer *transfer)
{
	all.running++;
	fetch_multi_restart(transfer);
}

static void run_queued(void)
{
	while (all.queue_first && all.running < all.running_most) {
		struct fetch_transfer *transfer = all.queue_first;
		all.queue_first = transfer->next_queued;
		if (!all.queue_first)
			all.queue_end = &all.queue_first;
		run(transfer);
	}
}

void fetch_multi_add(struct fetch_transfer *transfer)
{
	if (all.running < all.running_most) {
		run(transfer);
		return;
	}
	transfer->state = FETCH_QUEUED;
	transfer->next_queued = NULL;
	*all.queue_end = transfer;
	all.queue_end = &transfer->next_queued;
}

static void take_from_queue(struct fetch_transfer *transfer)
{
	struct fetch_transfer **place = &all.queue_first;
	while (*place != transfer)
		place = &(*place)->next_queued;
	*place = transfer->next_queued;
	if (all.queue_end == &transfer->next_queued)
		all.queue_end = place;
}

void fetch_multi_restart(struct fetch_transfer *transfer)
{
	transfer->state = FETCH_RUNNING;
	/* With a socket of its own it needs no other. */
	bool fresh = transfer->socket >= 0 || fetch_sockets_stale(transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
	CURLMcode result = curl_multi_add_handle(all.multi, transfer->easy);
	if (result != CURLM_OK) {
		transfer->state = FETCH_ASKING; /* curl does not have it */
		fetch_transfer_fail(transfer, "ENOMEM", false, curl_multi_strerror(result));
	}
}

void fetch_multi_proceed(void)
{
	int running;
	curl_multi_socket_action(all.multi, CURL_SOCKET_TIMEOUT, 0, &running);
	uv_timer_start(&all.kick, on_kick, 0, 0);
}

void fetch_multi_remove(struct fetch_transfer *transfer)
{
	unmark(transfer);
	if (transfer->state == FETCH_DONE)
		return;
	if (transfer->state == FETCH_QUEUED) {
		take_from_queue(transfer);
	} else {
		if (transfer->state == FETCH_RUNNING)
			curl_multi_remove_handle(all.multi, transfer->easy);
		all.running--;
	}
	transfer->state = FETCH_DONE;
	run_queued();
	fetch_multi_reference();
}

void fetch_multi_continue(struct fetch_transfer *transfer)
{
	if (transfer->state == FETCH_RUNNING)
		curl_easy_pause(
			transfer->easy, (transfer->body_paused ? CURLPAUSE_RECV : 0) |
						(transfer->upload_paused ? CURLPAUSE_SEND : 0));
}

/* ---- easy handles ---- */

CURL *fetch_multi_easy(void)
{
	return all.pooled > 0 ? all.pool[--all.pooled] : curl_easy_init();
}

void fetch_multi_give_back(CURL *easy)
{
	if (!easy)
		return;
	if (all.pooled == POOL_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	all.pool[all.pooled++] = easy;
}

/* ---- curl and libuv ---- */

static void take_results(void)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(all.multi, &left))) {
		struct fetch_transfer *transfer = NULL;
		CURLcode result = message->data.result;
		CURL *easy = message->easy_handle;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
		curl_multi_remove_handle(all.multi, easy);
		transfer->state = FETCH_ASKING; /* still counted, not curl's any more */
		fetch_transfer_ended(transfer, result);
	}
}

static void after_curl(void)
{
	take_results();
	tell_all();
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	int running, flags = 0;
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)handle, &fd) < 0)
		return;
	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(all.multi, fd, flags, &running);
	after_curl();
}

static void on_timer(uv_timer_t *handle)
{
	int running;
	(void)handle;
	curl_multi_socket_action(all.multi, CURL_SOCKET_TIMEOUT, 0, &running);
	after_curl();
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *data)
{
	(void)multi;
	(void)data;
	if (timeout_ms < 0)
		uv_timer_stop(&all.timer);
	else
		uv_timer_start(&all.timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	uv_poll_t *poll = socket_data;
	(void)easy;
	(void)data;
	if (what == CURL_POLL_REMOVE) {
		if (!poll)
			return 0;
		curl_multi_assign(all.multi, fd, NULL);
		uv_poll_stop(poll);
		uv_close((uv_handle_t *)poll, on_poll_closed);
		return 0;
	}
	if (!poll) {
		poll = calloc(1, sizeof *poll);
		if (!poll || uv_poll_init(&runtime.loop, poll, fd) < 0) {
			free(poll);
			return -1;
		}
		uv_unref((uv_handle_t *)poll);
		curl_multi_assign(all.multi, fd, poll);
	}
	uv_poll_start(poll,
		((what & CURL_POLL_IN) ? UV_READABLE : 0) |
			((what & CURL_POLL_OUT) ? UV_WRITABLE : 0),
		on_poll);
	return 0;
}

/* OpenSSL sees that it was forked by its process id alone, and every worker is process 1
 * of its own namespace. That differs from the zygote's, but let nothing depend on it. */
static bool renew_randomness(void)
{
	unsigned char seed[32];
	if (getrandom(seed, sizeof seed, 0) != sizeof seed)
		return false;
	RAND_add(seed, sizeof seed, sizeof seed);
	return RAND_poll() == 1;
}

bool fetch_multi_ready(void)
{
	if (all.multi)
		return true;
	if (!renew_randomness() || !(all.multi = curl_multi_init()))
		return false;
	uint32_t files = runtime.start ? runtime.start->files : 0;
	all.running_most = files ? files / 2 : RUNNING_MOST;
	if (all.running_most > RUNNING_MOST)
		all.running_most = RUNNING_MOST;
	if (all.running_most < RUNNING_LEAST)
		all.running_most = RUNNING_LEAST;
	all.queue_end = &all.queue_first;
	all.dirty_end = &all.dirty_first;
	uv_timer_init(&runtime.loop, &all.timer);
	uv_unref((uv_handle_t *)&all.timer);
	uv_timer_init(&runtime.loop, &all.keeper);
	uv_timer_start(&all.keeper, on_keeper, KEEPER_MS, KEEPER_MS);
	uv_unref((uv_handle_t *)&all.keeper);
	uv_timer_init(&runtime.loop, &all.kick);
	long kept = CONNECTIONS_KEPT;
	if ((size_t)kept > all.running_most)
		kept = (long)all.running_most;
	curl_multi_setopt(all.multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(all.multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(all.multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(all.multi, CURLMOPT_MAXCONNECTS, kept);
	return true;
}

void fetch_multi_end(void)
{
	if (!all.multi)
		return;
	while (all.pooled > 0)
		curl_easy_cleanup(all.pool[--all.pooled]);
	/* Closes its connections, and with them the handles of their sockets. */
	curl_multi_cleanup(all.multi);
	all.multi = NULL;
}
