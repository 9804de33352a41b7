pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(daemon_journal_test ${CMAKE_CURRENT_LIST_DIR}/daemon_journal_test.c)
target_link_libraries(daemon_journal_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_journal COMMAND daemon_journal_test)
