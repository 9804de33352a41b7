pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(daemon_takeover_test ${CMAKE_CURRENT_LIST_DIR}/daemon_takeover_test.c)
target_link_libraries(daemon_takeover_test PRIVATE daemon PkgConfig::CMOCKA)
add_test(NAME daemon_takeover COMMAND daemon_takeover_test)
