/* A member's rules: as its policy has them, minus what it gave up. */
#include "daemon/egress/private.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

#define RULES_MOST 512 /* the policy's, and as many that were given up */

int rules_parse(
	struct policy_net_rules *rules, const char *const *texts, size_t count, struct error *error)
{
	*rules = (struct policy_net_rules){0};
	if (count == 0)
		return 0;
	rules->items = calloc(count, sizeof *rules->items);
	if (rules->items == NULL)
		return error_set(error, ENOMEM, "no memory for rules");
	for (size_t i = 0; i < count; i++) {
		int result = policy_net_rule_parse(texts[i], &rules->items[i], error);
		if (result < 0) {
			rules_free(rules);
			return result;
		}
		rules->count++;
	}
	return 0;
}

void rules_free(struct policy_net_rules *rules)
{
	free(rules->items);
	*rules = (struct policy_net_rules){0};
}

static bool same_rule(const struct policy_net_rule *a, const struct policy_net_rule *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 && a->family == b->family &&
	       memcmp(a->address, b->address, sizeof a->address) == 0 && a->prefix == b->prefix &&
	       a->port_first == b->port_first && a->port_last == b->port_last;
}

int rules_drop(struct policy_net_rules *connect, struct policy_net_rules *deny, const char *text,
	struct error *error)
{
	struct policy_net_rule rule;
	size_t kept = 0;
	const size_t before = connect->count;
	if (text[0] == '\0') {
		connect->count = 0;
		return before > 0;
	}
	int result = policy_net_rule_parse(text, &rule, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < connect->count; i++)
		if (!same_rule(&connect->items[i], &rule))
			connect->items[kept++] = connect->items[i];
	connect->count = kept;
	for (size_t i = 0; i < deny->count; i++)
		if (same_rule(&deny->items[i], &rule))
			return before > kept;
	struct policy_net_rule *items =
		deny->count < RULES_MOST ? reallocarray(deny->items, deny->count + 1, sizeof *items)
					 : NULL;
	if (items == NULL) {
		connect->count = 0; /* less than was asked for, never more */
		return before > 0;
	}
	deny->items = items;
	items[deny->count++] = rule;
	return 1;
}
