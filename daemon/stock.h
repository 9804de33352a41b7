/* Warm workers: forked and prepared ahead of need, each in a control group of its own,
 * waiting for START. A start takes one if there is one; the stock is filled again later,
 * when the loop has nothing else to do. */
#pragma once

#include "daemon/factory.h"
#include "daemon/instance.h"

#define STOCK_MAX 64

struct stock;

/* COUNT workers, at most STOCK_MAX; 0 makes a stock that stays empty. */
int stock_new(
	struct factory *factory, uint32_t count, struct stock **ret_stock, struct error *error);
/* Kills what is in it. */
struct stock *stock_free(struct stock *stock);

/* One that waits for START and is the caller's from now on, or NULL. */
struct instance *stock_take(struct stock *stock);
/* A new zygote is there: workers of the old one go, new ones are made. */
void stock_renew(struct stock *stock);
/* There should be COUNT from now on. */
void stock_want(struct stock *stock, uint32_t count);
/* How many wait. */
uint32_t stock_count(const struct stock *stock);
