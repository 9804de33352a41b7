# One program for each file of common/ that has anything to get wrong.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
foreach(name wire message protocol escape file error path)
  add_executable(common_${name}_test ${CMAKE_CURRENT_LIST_DIR}/common_${name}_test.c)
  target_link_libraries(common_${name}_test PRIVATE common PkgConfig::CMOCKA)
  add_test(NAME common_${name} COMMAND common_${name}_test)
endforeach()
# A folder that cannot be synced, a file system that cannot exchange two names.
target_link_options(common_file_test PRIVATE -Wl,--wrap=fsync,--wrap=renameat2)
