# What releases are: signatures, files that they share, their history, and how two differ.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
foreach(name signature history policy_change)
  add_executable(${name}_test ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c)
  target_link_libraries(${name}_test PRIVATE daemon PkgConfig::CMOCKA)
  add_test(NAME ${name} COMMAND ${name}_test)
endforeach()
add_executable(diff_text_test ${CMAKE_CURRENT_LIST_DIR}/diff_text_test.c
  ${CMAKE_SOURCE_DIR}/ctl/diff_text.c)
target_link_libraries(diff_text_test PRIVATE common PkgConfig::CMOCKA)
add_test(NAME diff_text COMMAND diff_text_test)
