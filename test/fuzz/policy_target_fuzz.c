/* Any bytes as a target. The first decides the port and whether it is a socket's path.
 * What is accepted has one spelling: parsed again, it is itself; and no name or rule opens
 * what is special. */
#include "common/cleanup.h"
#include "policy/match.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_again(const struct policy_target *target)
{
	char text[300];
	struct policy_target again;
	struct error error = {0};
	if (target->kind == POLICY_NET_ADDRESS)
		inet_ntop(target->family, target->address, text, sizeof text);
	else
		snprintf(text, sizeof text, "%s", target->name);
	require(policy_target_parse(text, strlen(text), target->port,
			target->kind == POLICY_NET_UNIX, &again, &error) == 0);
	require(again.kind == target->kind && strcmp(again.name, target->name) == 0);
	require(again.family == target->family &&
		memcmp(again.address, target->address, sizeof again.address) == 0);
}

/* The whole Internet is granted: only it. */
static void check_decisions(const struct policy_target *target)
{
	struct policy_net_rule items[3];
	const struct policy_net_rules none = {0}, all = {items, 3};
	struct policy_decision decision;
	struct error error;
	require(policy_net_rule_parse("0.0.0.0/0", &items[0], &error) == 0);
	require(policy_net_rule_parse("[::/0]", &items[1], &error) == 0);
	require(policy_net_rule_parse("*.example", &items[2], &error) == 0);
	policy_match_target(&none, &none, target, &decision);
	require(!decision.allowed && decision.reason[0]);
	policy_match_target(&all, &none, target, &decision);
	if (target->kind == POLICY_NET_ADDRESS)
		require(decision.allowed ==
			(policy_address_kind(target->family, target->address) == NULL));
	policy_match_target(&all, &all, target, &decision);
	if (target->kind == POLICY_NET_ADDRESS)
		require(!decision.allowed);
	static const uint8_t loopback[16] = {127, 0, 0, 1};
	policy_match_address(&all, &none, target, AF_INET, loopback, false, &decision);
	require(!decision.allowed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_target target;
	struct error error = {0};
	if (size == 0)
		return 0;
	cleanup_free char *copy = malloc(size);
	require(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	if (policy_target_parse(
		    copy, size - 1, (uint16_t)(data[0] + 1), data[0] & 1, &target, &error) < 0) {
		require(error.code && error.message[0]);
		return 0;
	}
	check_again(&target);
	check_decisions(&target);
	return 0;
}
