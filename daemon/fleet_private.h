/* The parts of daemon/fleet.h that stand in files of their own. */
#pragma once

#include "daemon/fleet.h"

/* ---- fleet.c, for start_queue.c ---- */

/* The turn of the first slot that waits for it. The fleet may be gone afterwards. */
void fleet_take_turn(struct fleet *fleet);

/* ---- fleet.c, for fleet_handover.c ---- */

extern const struct instance_events fleet_instance_events;
/* So many slots, without instances. */
int fleet_add_slots(struct fleet *fleet, uint32_t count, struct error *error);
/* SLOT's next start. */
void fleet_start_at(struct fleet_slot *slot, uint32_t delay_ms);
