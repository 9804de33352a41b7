// For the library's own files that load Node's 'module' when they are first used.
export { Module } from '../modules.js';
