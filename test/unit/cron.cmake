pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(cron_test ${CMAKE_CURRENT_LIST_DIR}/cron_test.c)
target_link_libraries(cron_test PRIVATE common PkgConfig::CMOCKA)
add_test(NAME cron COMMAND cron_test)
