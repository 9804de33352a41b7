#include "isolate/mailbox.h"

#include "isolate/runtime.h"

#include <stdatomic.h>
#include <stdlib.h>

struct mailbox {
	pthread_mutex_t lock;
	atomic_uint references;
	uv_async_t async; /* of the owner's loop */
	bool closed;
	struct letter *first, **end;
	int holds; /* the owner's */
};

static _Thread_local struct mailbox *own;

static struct letter *take_first(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	struct letter *letter = mailbox->first;
	if (letter) {
		mailbox->first = letter->next;
		if (!mailbox->first)
			mailbox->end = &mailbox->first;
		letter->queued = false;
	}
	pthread_mutex_unlock(&mailbox->lock);
	return letter;
}

/* Letters that come meanwhile, or are posted again, wait for the next turn. */
static void on_async(uv_async_t *handle)
{
	struct mailbox *mailbox = handle->data;
	size_t count = 0;
	pthread_mutex_lock(&mailbox->lock);
	for (struct letter *letter = mailbox->first; letter; letter = letter->next)
		count++;
	pthread_mutex_unlock(&mailbox->lock);
	while (count-- > 0) {
		struct letter *letter = take_first(mailbox);
		if (!letter)
			break;
		letter->deliver(letter);
	}
	pthread_mutex_lock(&mailbox->lock);
	if (mailbox->first && !mailbox->closed)
		uv_async_send(&mailbox->async);
	pthread_mutex_unlock(&mailbox->lock);
}

struct mailbox *mailbox_existing(void)
{
	return own;
}

struct mailbox *mailbox_own(void)
{
	if (own)
		return own;
	struct mailbox *mailbox = calloc(1, sizeof *mailbox);
	if (!mailbox || uv_async_init(&runtime.loop, &mailbox->async, on_async) < 0) {
		free(mailbox);
		return NULL;
	}
	mailbox->async.data = mailbox;
	uv_unref((uv_handle_t *)&mailbox->async);
	pthread_mutex_init(&mailbox->lock, NULL);
	atomic_init(&mailbox->references, 1);
	mailbox->end = &mailbox->first;
	return own = mailbox;
}

struct mailbox *mailbox_ref(struct mailbox *mailbox)
{
	atomic_fetch_add(&mailbox->references, 1);
	return mailbox;
}

struct mailbox *mailbox_unref(struct mailbox *mailbox)
{
	if (mailbox && atomic_fetch_sub(&mailbox->references, 1) == 1) {
		pthread_mutex_destroy(&mailbox->lock);
		free(mailbox);
	}
	return NULL;
}

bool mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	pthread_mutex_lock(&mailbox->lock);
	const bool open = !mailbox->closed;
	if (open && !letter->queued) {
		letter->queued = true;
		letter->next = NULL;
		*mailbox->end = letter;
		mailbox->end = &letter->next;
		uv_async_send(&mailbox->async);
	}
	pthread_mutex_unlock(&mailbox->lock);
	return open;
}

void mailbox_take_back(struct mailbox *mailbox, struct letter *letter)
{
	pthread_mutex_lock(&mailbox->lock);
	if (letter->queued) {
		struct letter **place = &mailbox->first;
		while (*place != letter)
			place = &(*place)->next;
		*place = letter->next;
		if (mailbox->end == &letter->next)
			mailbox->end = place;
		letter->queued = false;
	}
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_hold(int change)
{
	if (!own)
		return;
	own->holds += change;
	if (own->holds > 0)
		uv_ref((uv_handle_t *)&own->async);
	else
		uv_unref((uv_handle_t *)&own->async);
}

static void on_closed(uv_handle_t *handle)
{
	mailbox_unref(handle->data);
}

void mailbox_close(void)
{
	struct mailbox *mailbox = own;
	if (!mailbox)
		return;
	own = NULL;
	pthread_mutex_lock(&mailbox->lock);
	mailbox->closed = true;
	while (mailbox->first) {
		mailbox->first->queued = false;
		mailbox->first = mailbox->first->next;
	}
	mailbox->end = &mailbox->first;
	pthread_mutex_unlock(&mailbox->lock);
	uv_close((uv_handle_t *)&mailbox->async, on_closed);
}
