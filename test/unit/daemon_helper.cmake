# What tenantd-egress and tenantd-ingress have in common. As root; the watchdog takes its time.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(daemon_helper_test ${CMAKE_CURRENT_LIST_DIR}/daemon_helper_test.c)
target_link_libraries(daemon_helper_test PRIVATE helper PkgConfig::CMOCKA)
add_test(NAME daemon_helper COMMAND daemon_helper_test)
set_tests_properties(daemon_helper PROPERTIES SKIP_RETURN_CODE 77)
