#include "daemon/stock.h"

#include "common/escape.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define REFILL_DELAY_US 20000    /* after a start, which has the machine to itself */
#define REFILL_FAILED_US 2000000 /* after one that could not be made */

struct stock {
	struct factory *factory;
	uint32_t wanted;
	uint32_t count;
	struct instance *instances[STOCK_MAX];
	sd_event_source *refill;
};

static void schedule(struct stock *stock, uint64_t delay_us)
{
	if (stock->wanted == 0 || sd_event_source_set_time_relative(stock->refill, delay_us) < 0)
		return;
	sd_event_source_set_enabled(stock->refill, SD_EVENT_ONESHOT);
}

static void drop(struct stock *stock, struct instance *instance)
{
	for (uint32_t i = 0; i < stock->count; i++)
		if (stock->instances[i] == instance)
			stock->instances[i] = stock->instances[--stock->count];
}

static void stock_ready(struct instance *instance, void *data)
{
	(void)instance; /* no READY is legal without START */
	(void)data;
}

static void stock_ended(struct instance *instance, void *data)
{
	struct stock *stock = data;
	log_warn("event=stock-worker-ended instance=%u reason=%s message=\"%s\"", instance->id,
		end_reason_name(instance->end->reason), escape_for_log(instance->end->message));
	drop(stock, instance);
	instance_free(instance);
	schedule(stock, REFILL_FAILED_US);
}

static const struct instance_events stock_events = {stock_ready, stock_ended};

/* One at a time: between two, the loop serves whatever else there is. */
static int refill_one(sd_event_source *source, uint64_t usec, void *data)
{
	struct stock *stock = data;
	struct error error = {0};
	struct instance *instance;
	(void)source;
	(void)usec;
	if (stock->count >= stock->wanted)
		return 0;
	struct zygote *zygote = stock->factory->zygotes[0];
	if (zygote == NULL || !zygote_is_ready(zygote))
		return 0;                 /* stock_renew comes when there is one */
	if (zygote_pending(zygote) > 0) { /* a start is under way: it goes first */
		schedule(stock, REFILL_DELAY_US);
		return 0;
	}
	if (instance_prepare(stock->factory, &stock_events, stock, &instance, &error) < 0) {
		log_warn("event=stock-failed message=\"%s\"", escape_for_log(error.message));
		schedule(stock, REFILL_FAILED_US);
		return 0;
	}
	stock->instances[stock->count++] = instance;
	schedule(stock, 1000);
	return 0;
}

int stock_new(
	struct factory *factory, uint32_t count, struct stock **ret_stock, struct error *error)
{
	struct stock *stock = calloc(1, sizeof *stock);
	if (stock == NULL)
		return error_set(error, ENOMEM, "no memory for the stock");
	stock->factory = factory;
	stock->wanted = count < STOCK_MAX ? count : STOCK_MAX;
	int result = sd_event_add_time_relative(
		factory->event, &stock->refill, CLOCK_MONOTONIC, 0, 1000, refill_one, stock);
	if (result < 0) {
		free(stock);
		return error_errno(error, result, "cannot make the stock's timer");
	}
	sd_event_source_set_priority(stock->refill, SD_EVENT_PRIORITY_IDLE);
	*ret_stock = stock;
	return 0;
}

static void empty(struct stock *stock)
{
	while (stock->count > 0)
		instance_free(stock->instances[--stock->count]);
}

struct stock *stock_free(struct stock *stock)
{
	if (stock == NULL)
		return NULL;
	stock->wanted = 0;
	empty(stock);
	sd_event_source_disable_unref(stock->refill);
	free(stock);
	return NULL;
}

struct instance *stock_take(struct stock *stock)
{
	for (uint32_t i = stock->count; i > 0; i--) {
		struct instance *instance = stock->instances[i - 1];
		if (instance->stage != INSTANCE_STOCK || instance->pidfd < 0)
			continue; /* not there yet: a fresh one is as quick */
		drop(stock, instance);
		schedule(stock, REFILL_DELAY_US);
		return instance;
	}
	return NULL;
}

void stock_renew(struct stock *stock)
{
	empty(stock);
	schedule(stock, REFILL_DELAY_US);
}

void stock_want(struct stock *stock, uint32_t count)
{
	stock->wanted = count < STOCK_MAX ? count : STOCK_MAX;
	while (stock->count > stock->wanted)
		instance_free(stock->instances[--stock->count]);
	if (stock->count < stock->wanted)
		schedule(stock, REFILL_DELAY_US);
}

uint32_t stock_count(const struct stock *stock)
{
	return stock->count;
}
