pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_executable(units_test ${CMAKE_CURRENT_LIST_DIR}/units_test.c)
target_link_libraries(units_test PRIVATE common PkgConfig::CMOCKA)
add_test(NAME units COMMAND units_test)
