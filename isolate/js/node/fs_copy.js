// What fs.cpSync leaves to Node's C++ part: the checks before it begins, and folders
// without a filter.

import { Error } from '../primordials.js';

const lazyFs = () => require('fs');
const lazyPath = () => require('path');

function fail(code, message) {
	const error = new Error(message);
	error.code = code;
	throw error;
}

const sameFile = (a, b) => a.ino && a.dev && a.ino === b.ino && a.dev === b.dev;

function checkKinds(src, dest, srcStat, destStat, recursive) {
	const folder = srcStat.isDirectory();
	if (destStat !== undefined) {
		if (sameFile(srcStat, destStat))
			fail('ERR_FS_CP_EINVAL', `src and dest cannot be the same ${dest}`);
		if (folder && !destStat.isDirectory())
			fail(
				'ERR_FS_CP_DIR_TO_NON_DIR',
				`Cannot overwrite non-directory ${dest} with directory ${src}`,
			);
		if (!folder && destStat.isDirectory())
			fail(
				'ERR_FS_CP_NON_DIR_TO_DIR',
				`Cannot overwrite directory ${dest} with non-directory ${src}`,
			);
	}
	if (folder && !recursive)
		fail('ERR_FS_EISDIR', `Recursive option not enabled, cannot copy a directory: ${src}/`);
	if (srcStat.isSocket()) fail('ERR_FS_CP_SOCKET', `Cannot copy a socket file: ${dest}`);
	if (srcStat.isFIFO()) fail('ERR_FS_CP_FIFO_PIPE', `Cannot copy a FIFO pipe: ${dest}`);
}

// A folder that is copied into itself would never end.
function checkNesting(src, dest, srcStat) {
	const { dirname, resolve } = lazyPath();
	const fs = lazyFs();
	if (!srcStat.isDirectory()) return;
	for (let parent = dirname(resolve(dest)); ; parent = dirname(parent)) {
		const stat = fs.statSync(parent, { bigint: true, throwIfNoEntry: false });
		if (stat !== undefined && sameFile(srcStat, stat))
			fail('ERR_FS_CP_EINVAL', `Cannot copy ${src}/ to a subdirectory of self ${dest}`);
		if (parent === dirname(parent)) return;
	}
}

export function checkCopy(src, dest, dereference, recursive) {
	const fs = lazyFs();
	const look = dereference ? fs.statSync : fs.lstatSync;
	const srcStat = look(src, { bigint: true });
	const destStat = look(dest, { bigint: true, throwIfNoEntry: false });
	checkKinds(src, dest, srcStat, destStat, recursive);
	checkNesting(src, dest, srcStat);
	const parent = lazyPath().dirname(lazyPath().resolve(dest));
	if (!fs.existsSync(parent)) fs.mkdirSync(parent, { recursive: true });
}

export function copyFolder(src, dest, force, dereference, errorOnExist, verbatimSymlinks, preserveTimestamps) {
	const fs = lazyFs();
	const { join } = lazyPath();
	const { cpSyncFn } = require('internal/fs/cp/cp-sync');
	const made = fs.mkdirSync(dest, { recursive: true }) !== undefined;
	const options = {
		__proto__: null,
		dereference,
		errorOnExist,
		filter: undefined,
		force,
		mode: 0,
		preserveTimestamps,
		recursive: true,
		verbatimSymlinks,
	};
	const names = fs.readdirSync(src);
	for (let i = 0; i < names.length; i++)
		cpSyncFn(join(src, names[i]), join(dest, names[i]), options);
	if (made) fs.chmodSync(dest, fs.statSync(src).mode);
}

export function replaceFile(src, dest, mode, preserveTimestamps) {
	const fs = lazyFs();
	fs.unlinkSync(dest);
	fs.copyFileSync(src, dest, mode);
	if (!preserveTimestamps) return;
	const { atime, mtime } = fs.statSync(src);
	fs.utimesSync(dest, atime, mtime);
}
