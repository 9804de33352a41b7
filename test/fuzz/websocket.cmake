add_executable(websocket_fuzz ${CMAKE_CURRENT_LIST_DIR}/websocket_fuzz.c
  ${CMAKE_SOURCE_DIR}/ctl/websocket.c)
target_link_libraries(websocket_fuzz PRIVATE deploy -fsanitize=fuzzer)
add_test(NAME fuzz_websocket
  COMMAND websocket_fuzz -runs=0 ${CMAKE_CURRENT_LIST_DIR}/corpus/websocket)
