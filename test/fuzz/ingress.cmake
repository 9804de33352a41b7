foreach(name ingress_message ingress_head client_hello)
  add_executable(${name}_fuzz ${CMAKE_CURRENT_LIST_DIR}/${name}_fuzz.c)
  target_link_libraries(${name}_fuzz PRIVATE ingress -fsanitize=fuzzer)
  add_test(NAME fuzz_${name}
    COMMAND ${name}_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/${name})
endforeach()
