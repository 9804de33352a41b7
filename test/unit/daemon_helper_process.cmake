# The helper is the test program itself, in another role.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(daemon_helper_process_test ${CMAKE_CURRENT_LIST_DIR}/daemon_helper_process_test.c)
target_link_libraries(daemon_helper_process_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_helper_process COMMAND daemon_helper_process_test)
