// internalBinding('tty_wrap'): no descriptor that a program can have is a terminal, since
// its input and output are pipes, files or the log.

import { registerBinding } from './binding.js';
import { errorNumber } from './errors.js';

class TTY {
	constructor(fd, context) {
		context.errno = errorNumber('EINVAL');
		context.code = 'EINVAL';
		context.message = 'invalid argument';
		context.syscall = 'uv_tty_init';
	}
}

registerBinding('tty_wrap', {
	TTY,
	UV_TTY_MODE_NORMAL: 0,
	UV_TTY_MODE_RAW: 1,
	UV_TTY_MODE_IO: 2,
	UV_TTY_MODE_RAW_VT: 3,
	isTTY: () => false,
});
