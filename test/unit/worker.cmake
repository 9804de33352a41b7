# Real workers whose supervisor is the test. Need root.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_library(worker_harness STATIC ${CMAKE_CURRENT_LIST_DIR}/worker_harness.c)
target_link_libraries(worker_harness PUBLIC daemon sandbox common PkgConfig::CMOCKA)
foreach(name service handover)
  add_executable(worker_${name}_test ${CMAKE_CURRENT_LIST_DIR}/worker_${name}_test.c)
  target_link_libraries(worker_${name}_test PRIVATE worker_harness)
  add_dependencies(worker_${name}_test tenant-zygote)
  add_test(NAME worker_${name}
    COMMAND worker_${name}_test $<TARGET_FILE:tenant-zygote> ${CMAKE_BINARY_DIR}/library.snapshot)
  set_tests_properties(worker_${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 180)
endforeach()
