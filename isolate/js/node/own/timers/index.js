// node:timers. One object for programs and for Node's own files: node:test replaces what is in it.

const timers = require('../../../timers.js');

module.exports = {
	clearImmediate: timers.clearImmediate,
	clearInterval: timers.clearInterval,
	clearTimeout: timers.clearTimeout,
	setImmediate: timers.setImmediate,
	setInterval: timers.setInterval,
	setTimeout: timers.setTimeout,
};
