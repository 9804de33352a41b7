/* Message ports as objects of the library (isolate/native_messaging.c). */
#pragma once

#include "isolate/message_port.h"

/* A NativePort for PORT, which it owns and which is this thread's from now on. NULL with an
 * exception pending; then PORT is closed. */
engine_value *messaging_port_instance(struct port *port);
/* The port of a NativePort, which loses it; NULL for something else. */
struct port *messaging_take_port(engine_value *instance);
