// node:sqlite: SQLite on files that were granted, or in memory. C does the work
// (isolate/native_sqlite.c), and the kernel decides which files these are.

import { backup } from './sqlite/backup.js';
import { constants } from './sqlite/constants.js';
import { DatabaseSync } from './sqlite/database.js';
import { Session } from './sqlite/session.js';
import { StatementSync } from './sqlite/statement.js';
import { registerBuiltin } from './registry.js';

const exports = { DatabaseSync, StatementSync, Session, constants, backup };
registerBuiltin('node:sqlite', () => exports);
