pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(daemon_pid1_test ${CMAKE_CURRENT_LIST_DIR}/daemon_pid1_test.c)
target_link_libraries(daemon_pid1_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_pid1 COMMAND daemon_pid1_test)
