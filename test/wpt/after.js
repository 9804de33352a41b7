// Runs behind testharness.js: results go to the standard output, one JSON line each.
'use strict';

{
	const { stringify } = JSON;
	const write = process.stdout.write.bind(process.stdout);
	let completed = false;

	// Tests of interface definitions ask which kind of global this is. Not before the harness
	// has: it would wait for the messages that a worker gets.
	if (location.pathname.includes('idlharness'))
		globalThis.DedicatedWorkerGlobalScope = class {
			static [Symbol.hasInstance](value) {
				return value === globalThis;
			}
		};

	const send = (message) => write(`\n@WPT ${stringify(message)}\n`);

	add_result_callback((test) => {
		send({ name: test.name, status: test.format_status(), message: test.message });
	});
	add_completion_callback((tests, status) => {
		completed = true;
		send({ harness: status.status, message: status.message });
		process.exit(0);
	});
	// From C: when there is no more time, or nothing that could still happen.
	const end = globalThis.timeout;
	globalThis.__wptTimeout = (why) => {
		if (completed) return;
		write(`\n@WHY ${why}\n`);
		end();
	};
}
